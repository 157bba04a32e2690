// A QR code drawn here, so that the secret in it goes to nobody else.
import encodeQR from "qr";
import { useMemo } from "react";
import classes from "./Settings.module.css";

const QUIET_ZONE = 2;

export function QrCode({ text, label }: { text: string; label: string }) {
  const { path, size } = useMemo(() => drawn(encodeQR(text, "raw", { ecc: "medium", border: QUIET_ZONE })), [text]);
  return (
    <svg className={classes["qr"]} viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <path d={path} fill="currentColor" />
    </svg>
  );
}

function drawn(rows: boolean[][]): { path: string; size: number } {
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return { path, size: rows.length };
}

// Small pieces that every screen uses: times, panels, problems, empty places, waiting lines, JSON, copying.
import { ActionIcon, Alert, Button, CopyButton, Group, Skeleton, Tooltip } from "@mantine/core";
import { useEffect, useRef, useState, type CSSProperties, type ReactNode } from "react";
import { ApiProblem } from "../api/problem";
import type { Json } from "../api/types";
import { ago, clockTime, dateTime } from "../lib/format";
import { useNow } from "../lib/now";
import { t } from "../texts";
import { IconCheck, IconCopy } from "./icons";
import classes from "./parts.module.css";

export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow();
  if (at === null || at === undefined) return <span className={classes["soft"]}>–</span>;
  return (
    <time dateTime={at} title={dateTime(at)} className={classes["figures"]}>
      {ago(at, now)}
    </time>
  );
}

export function ClockTime({ at }: { at: string }) {
  return (
    <time dateTime={at} title={dateTime(at)} className={classes["figures"]}>
      {clockTime(at)}
    </time>
  );
}

interface PanelProps {
  title?: ReactNode;
  aside?: ReactNode;
  /** Lets tables and lists reach the panel's edges. */
  flush?: boolean;
  className?: string | undefined;
  style?: CSSProperties;
  children: ReactNode;
}

export function Panel({ title, aside, flush = false, children, className, style }: PanelProps) {
  return (
    <section className={`${classes["panel"]} ${className ?? ""}`} style={style}>
      {title !== undefined && (
        <header className={classes["panelHead"]}>
          <h2>{title}</h2>
          {aside !== undefined && <div className={classes["aside"]}>{aside}</div>}
        </header>
      )}
      {flush ? <Flush>{children}</Flush> : <div className={classes["panelBody"]}>{children}</div>}
    </section>
  );
}

/** Reaches the panel's edges; where that is too narrow it scrolls, and then by keys, too, whatever it holds. */
function Flush({ children }: { children: ReactNode }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const watching = new ResizeObserver(() => {
      if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    });
    for (const one of [element, ...element.children]) watching.observe(one);
    return () => watching.disconnect();
  });
  return <div ref={place} className={classes["flush"]}>{children}</div>;
}

export function PageHead({ title, children }: { title: ReactNode; children?: ReactNode }) {
  return (
    <header className={classes["pageHead"]}>
      <h1>{title}</h1>
      <Group gap="xs">{children}</Group>
    </header>
  );
}

export function Trouble({ error, title, onRetry }: { error: Error; title?: string; onRetry?: () => void }) {
  const problem = error instanceof ApiProblem ? error : null;
  return (
    <Alert title={title ?? problem?.title ?? t.problem.unexpected} role="alert" className={classes["trouble"] ?? ""}>
      {problem === null ? <p>{error.message}</p> : problem.detail !== "" && <p>{problem.detail}</p>}
      {problem !== null && problem.faults.length > 0 && (
        <ul>
          {problem.faults.map((fault) => (
            <li key={`${fault.pointer} ${fault.detail}`}>
              <code>{fault.pointer === "" ? "/" : fault.pointer}</code> {fault.detail}
            </li>
          ))}
        </ul>
      )}
      <p>{problem?.advice ?? t.problem.adviceOf(0)}</p>
      {problem?.requestId != null && (
        <p className={classes["requestId"]}>
          {t.problem.requestId} <code>{problem.requestId}</code> <Copy value={problem.requestId} label={t.problem.copyRequestId} />
        </p>
      )}
      {onRetry !== undefined && (
        <Button mt="xs" size="xs" variant="default" onClick={onRetry}>
          {t.problem.retry}
        </Button>
      )}
    </Alert>
  );
}

/** Something to take note of before going on. */
export function Notice({ title, children }: { title: string; children: ReactNode }) {
  return <Alert title={title} className={classes["notice"] ?? ""}>{children}</Alert>;
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={classes["empty"]}>
      <p className={classes["emptyTitle"]}>{title}</p>
      {children}
    </div>
  );
}

export function Lines({ rows, height = 18 }: { rows: number; height?: number }) {
  return (
    <div className={classes["lines"]} role="status" aria-label={t.common.loading}>
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={height} width={`${92 - ((row * 17) % 34)}%`} />
      ))}
    </div>
  );
}

export function Copy({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t.common.copied : label}>
          <ActionIcon variant="subtle" color="gray" size="sm" onClick={copy} aria-label={copied ? t.common.copied : label}>
            {copied ? <IconCheck width="0.875rem" /> : <IconCopy width="0.875rem" />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** A command to try, with a button that copies it. */
export function Command({ children }: { children: string }) {
  return (
    <div className={classes["command"]}>
      <pre tabIndex={0}>{children}</pre>
      <Copy value={children} label={t.common.copy} />
    </div>
  );
}

export function Hash({ value, label }: { value: string; label: string }) {
  return (
    <span className={classes["hash"]}>
      <code title={value}>{value.length > 20 ? `${value.slice(0, 12)}…${value.slice(-6)}` : value}</code>
      <Copy value={value} label={`${t.common.copy} ${label}`} />
    </span>
  );
}

/** JSON as it is; long values stay folded until asked for. */
export function JsonView({ value, label }: { value: Json | undefined; label: string }) {
  const text = JSON.stringify(value ?? null, null, 2);
  const [open, setOpen] = useState(text.length < 600);
  if (value === undefined || value === null || text === "{}" || text === "[]") {
    return <span className={classes["soft"]}>{t.common.nothing}</span>;
  }
  if (!open) {
    return (
      <Button size="compact-xs" variant="default" onClick={() => setOpen(true)}>
        {t.common.showJson(label, text.length)}
      </Button>
    );
  }
  return (
    <pre className={classes["json"]} tabIndex={0} aria-label={label}>
      {text}
    </pre>
  );
}

/** Something that is there for whoever wants it, and not made before. */
export function Fold({ title, children }: { title: string; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <details className={classes["fold"]} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && children}
    </details>
  );
}

export function Facts({ items }: { items: [string, ReactNode][] }) {
  return (
    <dl className={classes["facts"]}>
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

// At an incident: why somebody was told of it or was not, each message, when the next is due, and the way to silence it.
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { whyQuery, type WhyReason } from "../../api/mutes";
import { dateTime } from "../../lib/format";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";
import { Fold, Lines, Trouble } from "../../ui/parts";
import { MuteForm } from "./MuteForm";

interface WhyToldProps {
  incident: { id: string; check_type: string; host: string | null; site: string | null };
}

const TONES = { told: "good", will_be_told: "waiting", muted: "waiting", nobody_to_tell: "person", acknowledged: "good", over: "quiet", not_needed: "quiet" } as const;

export function WhyTold({ incident }: WhyToldProps) {
  const tenant = useTenant();
  const mayWrite = useMay("mutes:write");
  const why = useQuery(whyQuery(tenant.id, incident.id));
  const [silencing, setSilencing] = useState(false);
  if (why.data === undefined) return why.error === null ? <Lines rows={2} /> : <Trouble error={why.error} onRetry={() => void why.refetch()} />;
  const { verdict, reasons, next_at: next, messages } = why.data;
  const covers = (["check_type", "host", "site"] as const).filter((name) => incident[name] !== null).map((name) => `${name}=${incident[name] ?? ""}`).join("\n");
  return (
    <>
      <p style={{ marginTop: 0 }}><Tag tone={TONES[verdict]}>{t.why.verdicts[verdict]}</Tag> {next !== null && <>{t.why.next}: {dateTime(next)}</>}</p>
      <Reasons reasons={reasons} />
      {messages.length > 0 && (
        <Fold title={t.why.messages}>
          {messages.map((message) => (
            <div key={message.id}>
              <p style={{ marginBottom: 0 }}><Tag tone={message.verdict === "sent" ? "good" : "quiet"}>{t.why.sent[message.verdict]}</Tag> {t.why.by(message.kind, message.channel_kind)}</p>
              <Reasons reasons={message.reasons} />
            </div>
          ))}
        </Fold>
      )}
      {mayWrite && verdict !== "over" && verdict !== "muted" && <Button size="xs" variant="default" onClick={() => setSilencing(true)}>{t.why.silence}</Button>}
      {silencing && <MuteForm mute={null} matchers={covers} incidentId={incident.id} onClose={() => setSilencing(false)} />}
    </>
  );
}

function Reasons({ reasons }: { reasons: WhyReason[] }) {
  return <ul>{reasons.map((one) => <li key={one.code}>{one.text} {one.at !== null && <small>{dateTime(one.at)}</small>}</li>)}</ul>;
}

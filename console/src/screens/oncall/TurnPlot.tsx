// Who is on call when: a lane for each person, the gaps in one of their own, days of the schedule's zone; also as a table.
import type { Span } from "../../api/escalation";
import { midnights } from "../../lib/zones";
import { t } from "../../texts";
import { Fold } from "../../ui/parts";
import tables from "../../ui/table.module.css";
import classes from "./OnCall.module.css";

interface TurnPlotProps {
  spans: readonly Span[];
  zone: string;
  name: string;
}

const DAY_MS = 86_400_000;
const MOST_LABELS = 15;

export function TurnPlot({ spans, zone, name }: TurnPlotProps) {
  const first = spans[0];
  const last = spans.at(-1);
  if (first === undefined || last === undefined) return null;
  const begins = Date.parse(first.begins);
  const lasts = Math.max(1, Date.parse(last.ends) - begins);
  const place = (at: number) => `${((at - begins) / lasts) * 100}%`;
  const shown = momentFormat(zone);
  const lanes = lanesOf(spans);
  const days = midnights(zone, begins, begins + lasts);
  const every = Math.max(1, Math.ceil(days.length / MOST_LABELS));
  const dayName = new Intl.DateTimeFormat(undefined, { timeZone: zone, weekday: lasts > 21 * DAY_MS ? undefined : "short", month: "short", day: "numeric" });
  const told = (span: Span) => `${nameOf(span)}: ${shown.format(new Date(span.begins))} – ${shown.format(new Date(span.ends))}`;
  return (
    <>
      <div className={classes["plot"]} tabIndex={0} role="group" aria-label={t.onCall.plotLabel(name)}>
        <div className={classes["lanes"]} aria-hidden="true">
          <div className={classes["lane"]}>
            <span />
            <div className={classes["axis"]}>
              {days.filter((_, index) => index % every === 0).map((at) => <span key={at} style={{ left: place(at) }}>{dayName.format(at)}</span>)}
            </div>
          </div>
          {lanes.map((lane) => (
            <div key={lane.key} className={classes["lane"]}>
              <span className={classes["laneName"]}>{lane.name}</span>
              <div className={classes["track"]}>
                {days.map((at) => <i key={at} className={classes["day"]} style={{ left: place(at) }} />)}
                {lane.spans.map((span, index) => (
                  <div
                    key={span.begins} className={classes["turn"]} data-gap={span.person === null} data-odd={index % 2 === 1} title={told(span)}
                    style={{ left: place(Date.parse(span.begins)), width: `${((Date.parse(span.ends) - Date.parse(span.begins)) / lasts) * 100}%` }}
                  />
                ))}
              </div>
            </div>
          ))}
        </div>
      </div>
      <p className={classes["soft"]}>{t.onCall.zoneShown(zone)}</p>
      <Fold title={t.onCall.asTable}>
        <table className={tables["table"]}>
          <thead><tr><th>{t.onCall.from}</th><th>{t.onCall.to}</th><th>{t.onCall.who}</th></tr></thead>
          <tbody>
            {spans.map((span) => (
              <tr key={span.begins}>
                <td data-label={t.onCall.from}><time dateTime={span.begins}>{shown.format(new Date(span.begins))}</time></td>
                <td data-label={t.onCall.to}><time dateTime={span.ends}>{shown.format(new Date(span.ends))}</time></td>
                <td data-label={t.onCall.who}>{span.person === null ? <span className={classes["warning"]}>{t.onCall.nobody}</span> : nameOf(span)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Fold>
    </>
  );
}

interface Lane {
  key: string;
  name: string;
  spans: Span[];
}

function lanesOf(spans: readonly Span[]): Lane[] {
  const lanes = new Map<string, Lane>();
  for (const span of spans) {
    const key = span.person?.id ?? "";
    const lane = lanes.get(key) ?? { key, name: nameOf(span), spans: [] };
    lane.spans.push(span);
    lanes.set(key, lane);
  }
  // Gaps stand last, whenever the first one comes.
  return [...lanes.values()].sort((one, other) => Number(one.key === "") - Number(other.key === ""));
}

function nameOf(span: Span): string {
  return span.person === null ? t.onCall.nobody : (span.person.name ?? t.onCall.gone);
}

function momentFormat(zone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat(undefined, { timeZone: zone, weekday: "short", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

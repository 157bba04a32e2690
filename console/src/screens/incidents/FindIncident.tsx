// Finds another incident by its number or its words, to link to it or to merge into it.
import { TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { findQuery } from "../../api/incidentWork";
import type { Incident } from "../../api/types";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { StateMark } from "../../ui/marks";
import { Lines, Trouble } from "../../ui/parts";
import classes from "./work.module.css";

interface FindIncidentProps {
  except: string;
  chosen: Incident | null;
  onChoose: (incident: Incident) => void;
}

export function FindIncident({ except, chosen, onChoose }: FindIncidentProps) {
  const tenant = useTenant();
  const [typed, setTyped] = useState("");
  const [wanted] = useDebouncedValue(typed.trim(), 200);
  const { data, error } = useQuery({ ...findQuery(tenant.id, wanted), placeholderData: (before) => before });
  const found = data?.filter((incident) => incident.id !== except);
  return (
    <div>
      <TextInput
        label={t.work.find.label} placeholder={t.work.find.placeholder} value={typed} maxLength={200} data-autofocus
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      {error !== null && <Trouble error={error} />}
      {found === undefined && error === null && <Lines rows={3} />}
      {found?.length === 0 && <p className={classes["note"]}>{t.work.find.none}</p>}
      {found !== undefined && found.length > 0 && (
        <ul className={classes["offers"]} aria-label={t.work.find.choose}>
          {found.map((incident) => (
            <li key={incident.id}>
              <button type="button" aria-pressed={incident.id === chosen?.id} onClick={() => onChoose(incident)}>
                <b>#{incident.number}</b> <span>{incident.title}</span> <StateMark state={incident.state} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

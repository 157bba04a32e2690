// The proof: the sealed bundle's place in the chain, its hash and signature, and how to check it without us.
import { Anchor } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { incidentEvidenceQuery } from "../api/queries";
import type { EvidenceBundle, IncidentDetail } from "../api/types";
import { dateTime } from "../lib/format";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Command, Facts, Fold, Hash, Lines, Trouble } from "../ui/parts";
import classes from "./IncidentPage.module.css";

const FIRST = 1;

export function IncidentEvidence({ incident }: { incident: IncidentDetail }) {
  const tenant = useTenant();
  const mayRead = useMay("evidence:read");
  const { data, error, refetch } = useQuery({ ...incidentEvidenceQuery(tenant.id, incident.id), enabled: mayRead });
  if (!mayRead) return <p className={classes["note"]}>{t.common.mayNot}</p>;
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={2} />;
  const [latest, ...earlier] = data.items;
  if (latest === undefined) return <p className={classes["note"]}>{t.evidence.notYet}</p>;
  return (
    <>
      <Bundle bundle={latest} />
      {earlier.length > 0 && (
        <Fold title={t.evidence.earlier(earlier.length)}>
          {earlier.map((bundle) => <Bundle key={bundle.id} bundle={bundle} />)}
        </Fold>
      )}
      <p className={classes["note"]}>
        {t.evidence.howTo}{" "}
        <Anchor renderRoot={(props: object) => <Link to="/t/$tenant/evidence" params={{ tenant: tenant.slug }} {...props} />} size="sm">{t.evidence.toExport}</Anchor>
      </p>
      <Command>fettle evidence verify evidence.jsonl</Command>
    </>
  );
}

function Bundle({ bundle }: { bundle: EvidenceBundle }) {
  return (
    <div className={classes["bundle"]}>
      <Facts
        items={[
          [t.evidence.sequence, bundle.sequence],
          [t.evidence.sealed, dateTime(bundle.sealed_at)],
          [t.evidence.hash, <Hash key="hash" value={bundle.hash} label={t.evidence.hash} />],
          [t.evidence.previous, bundle.sequence === FIRST ? t.evidence.first : <Hash key="previous" value={bundle.previous_hash} label={t.evidence.previous} />],
          [t.evidence.signature, <Hash key="signature" value={bundle.signature} label={t.evidence.signature} />],
          [t.evidence.key, <Hash key="key" value={bundle.key_id} label={t.evidence.key} />],
        ]}
      />
    </div>
  );
}

// What differs between two versions of a pack, by section and item.
import { useQuery } from "@tanstack/react-query";
import { packDiffQuery } from "../../api/authoringQueries";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FieldChanges } from "../../ui/Diff";
import { Fold, Lines, Trouble } from "../../ui/parts";
import classes from "../../ui/authoring.module.css";

export function PackDiffView({ packId, from, to }: { packId: string; from: string; to: string }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(packDiffQuery(tenant.id, packId, from, to));
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={4} />;
  if (data.empty) return <p className={classes["soft"]}>{t.diff.none}</p>;
  return (
    <div>
      {data.manifest.length > 0 && <Fold title={`${t.packs.manifest} (${data.manifest.length})`}><FieldChanges changes={data.manifest} /></Fold>}
      {Object.entries(data.sections).map(([name, section]) => {
        const changed = Object.entries(section.changed);
        return (
          <section key={name}>
            <h3>{t.packs.sections[name] ?? name}</h3>
            <Names title={t.packs.added} names={section.added} sign="+" />
            <Names title={t.packs.removed} names={section.removed} sign="−" />
            {changed.map(([key, changes]) => <Fold key={key} title={`${t.packs.changed}: ${key} (${changes.length})`}><FieldChanges changes={changes} /></Fold>)}
          </section>
        );
      })}
    </div>
  );
}

function Names({ title, names, sign }: { title: string; names: string[]; sign: string }) {
  if (names.length === 0) return null;
  return <p>{sign} {title}: {names.map((name, index) => <span key={name}>{index > 0 && ", "}<code>{name}</code></span>)}</p>;
}

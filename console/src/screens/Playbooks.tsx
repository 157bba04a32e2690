// The playbooks that the tenant can run: those of its packs and its own.
import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { playbooksQuery } from "../api/authoringQueries";
import { useAddressText } from "../lib/search";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { IconPlus, IconSearch } from "../ui/icons";
import { Empty, Lines, PageHead, Panel, Trouble } from "../ui/parts";
import tables from "../ui/table.module.css";

export function Playbooks() {
  const tenant = useTenant();
  const mayWrite = useMay("playbooks:write");
  const [text, setText] = useAddressText("q");
  const { data, error, refetch } = useQuery(playbooksQuery(tenant.id));
  const wanted = text.trim().toLowerCase();
  const shown = data?.items.filter((one) => `${one.id} ${one.title} ${one.description ?? ""} ${one.tools.join(" ")}`.toLowerCase().includes(wanted));
  return (
    <>
      <title>{t.pageTitle(t.playbooks.title)}</title>
      <PageHead title={t.playbooks.title}>
        <TextInput
          size="xs" type="search" placeholder={t.playbooks.search} aria-label={t.playbooks.search} leftSection={<IconSearch width="0.95rem" />}
          value={text} onChange={(event) => setText(event.currentTarget.value)}
        />
        {mayWrite && (
          <Button size="xs" leftSection={<IconPlus width="0.95rem" />} renderRoot={(props: object) => <Link to="/t/$tenant/playbooks/new" params={{ tenant: tenant.slug }} {...props} />}>
            {t.playbooks.make}
          </Button>
        )}
      </PageHead>
      {error !== null && data === undefined && <Trouble error={error} onRetry={() => void refetch()} />}
      {data === undefined && error === null && <Panel><Lines rows={8} /></Panel>}
      {shown?.length === 0 && <Panel><Empty title={text === "" ? t.playbooks.none : t.playbooks.noneFound}><p>{t.playbooks.noneText}</p></Empty></Panel>}
      {shown !== undefined && shown.length > 0 && (
        <Panel flush>
          <table className={tables["table"]}>
            <thead><tr><th>{t.playbooks.name}</th><th data-figures>{t.playbooks.steps}</th><th>{t.playbooks.tools}</th><th>{t.playbooks.source}</th><th>{t.playbooks.verifies}</th></tr></thead>
            <tbody>
              {shown.map((one) => (
                <tr key={one.id}>
                  <td><Link to="/t/$tenant/playbooks/$playbookId" params={{ tenant: tenant.slug, playbookId: one.id }}><code>{one.id}</code></Link> {one.title}</td>
                  <td data-figures data-label={t.playbooks.steps}>{one.steps}</td>
                  <td data-label={t.playbooks.tools}>{one.tools.join(", ")}</td>
                  <td data-label={t.playbooks.source}>{one.pack_id ?? (one.replaces_pack ? t.playbooks.ownInstead : t.playbooks.own)}</td>
                  <td data-label={t.playbooks.verifies}>{one.verifies ? t.playbooks.yes : t.playbooks.no}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      )}
    </>
  );
}

// What is shown once of a source: its address and its secret, already put into the steps to take in the program.
import { Button, Group, Modal, Stack } from "@mantine/core";
import type { IssuedSource, Source } from "../../api/sources";
import { t } from "../../texts";
import { Command, Notice } from "../../ui/parts";

export function Issued({ source, setup, onClose }: { source: IssuedSource; setup: readonly string[]; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={t.sources.setUp(source.name)} size="xl" closeOnClickOutside={false} closeOnEscape={false} withCloseButton={false}>
      <Stack gap="sm">
        {source.secret !== null && <Notice title={t.sources.once}>{t.sources.onceText}</Notice>}
        {source.secret !== null && <Command>{source.secret}</Command>}
        <Guide source={source} setup={setup} url={absolute(source.url)} secret={source.secret} />
        <Group justify="flex-end"><Button onClick={onClose} data-autofocus>{source.secret === null ? t.common.close : t.sources.kept}</Button></Group>
      </Stack>
    </Modal>
  );
}

/** The steps of a kind, with this source's own address and, where it is still known, its secret. */
export function Guide({ source, setup, url, secret = null }: { source: Source; setup: readonly string[]; url?: string; secret?: string | null }) {
  const address = url ?? absolute(source.address);
  return (
    <>
      <p style={{ margin: 0 }}>{t.sources.address}</p>
      <Command>{address}</Command>
      <p style={{ margin: 0 }}>{t.sources.guide}</p>
      <ol style={{ margin: 0, paddingInlineStart: "1.4rem", display: "grid", gap: "0.5rem", overflowWrap: "anywhere" }}>
        {setup.map((step) => <li key={step}>{withCode(step.replaceAll("{url}", address).replaceAll("{secret}", secret ?? `<${t.sources.yourSecret}>`))}</li>)}
      </ol>
    </>
  );
}

function absolute(address: string): string {
  return address.startsWith("/") ? `${window.location.origin}${address}` : address;
}

/** What stands between back-quotes is set as code. */
function withCode(text: string) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

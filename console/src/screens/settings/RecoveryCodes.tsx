// Recovery codes at the one moment when they can be seen: to copy, to download, to keep.
import { Button, CopyButton, Group, Modal, Stack } from "@mantine/core";
import { handOver } from "../../api/client";
import { t } from "../../texts";
import { IconCheck, IconCopy, IconDownload } from "../../ui/icons";
import { Notice } from "../../ui/parts";
import classes from "./Settings.module.css";

export function RecoveryCodes({ codes, onClose }: { codes: string[]; onClose: () => void }) {
  const text = codes.join("\n");
  return (
    <Modal opened onClose={onClose} title={t.security.recovery} closeOnClickOutside={false} closeOnEscape={false} withCloseButton={false}>
      <Stack gap="sm">
        <Notice title={t.security.onlyNow}>{t.security.keepCodes}</Notice>
        <ul className={classes["codes"]} aria-label={t.security.recovery}>{codes.map((code) => <li key={code}>{code}</li>)}</ul>
        <Group gap="xs">
          <CopyButton value={text} timeout={1500}>
            {({ copied, copy }) => (
              <Button variant="default" size="xs" leftSection={copied ? <IconCheck width="0.95rem" /> : <IconCopy width="0.95rem" />} onClick={copy}>
                {copied ? t.common.copied : t.common.copy}
              </Button>
            )}
          </CopyButton>
          <Button
            variant="default" size="xs" leftSection={<IconDownload width="0.95rem" />}
            onClick={() => handOver(new Blob([`${t.security.codesFile}\n\n${text}\n`], { type: "text/plain" }), "fettle-recovery-codes.txt")}
          >
            {t.security.download}
          </Button>
        </Group>
        <Group justify="flex-end"><Button onClick={onClose}>{t.security.kept}</Button></Group>
      </Stack>
    </Modal>
  );
}

// Asks for a reason before something is done, and says what will happen.
import { Button, Group, Modal, Stack, Textarea } from "@mantine/core";
import { useEffect, useState } from "react";
import { t } from "../texts";
import { Trouble } from "./parts";

interface ReasonDialogProps {
  opened: boolean;
  title: string;
  consequence: string;
  confirm: string;
  color?: string;
  pending: boolean;
  error: Error | null;
  onClose: () => void;
  onConfirm: (reason: string) => void;
}

export function ReasonDialog({ opened, title, consequence, confirm, color, pending, error, onClose, onConfirm }: ReasonDialogProps) {
  const [reason, setReason] = useState("");
  useEffect(() => {
    if (opened) setReason("");
  }, [opened]);
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (reason.trim() !== "") onConfirm(reason.trim());
        }}
      >
        <Stack gap="sm">
          <p style={{ margin: 0 }}>{consequence}</p>
          <Textarea
            label={t.actions.reason} description={t.actions.reasonHelp} required autosize minRows={3} maxLength={1000} data-autofocus
            value={reason} onChange={(event) => setReason(event.currentTarget.value)}
          />
          {error !== null && <Trouble error={error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={pending} disabled={reason.trim() === ""} {...(color === undefined ? {} : { color })}>{confirm}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

// Says what will happen before something is done that matters.
import { Button, Group, Modal, Stack } from "@mantine/core";
import type { ReactNode } from "react";
import { t } from "../texts";
import { Trouble } from "./parts";

interface ConfirmProps {
  title: string;
  confirm: string;
  danger?: boolean;
  wide?: boolean;
  pending: boolean;
  disabled?: boolean;
  error: Error | null;
  onClose: () => void;
  onConfirm: () => void;
  children: ReactNode;
}

export function Confirm({ title, confirm, danger = false, wide = false, pending, disabled = false, error, onClose, onConfirm, children }: ConfirmProps) {
  return (
    <Modal opened onClose={onClose} title={title} size={wide ? "xl" : "md"} closeButtonProps={{ "aria-label": t.common.close }}>
      <Stack gap="sm">
        {children}
        {error !== null && <Trouble error={error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus>{t.common.cancel}</Button>
          <Button onClick={onConfirm} loading={pending} disabled={disabled} {...(danger ? { color: "red" } : {})}>{confirm}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}

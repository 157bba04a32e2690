// A form in a dialog: what was wrong stands above its two buttons, and Enter sends it as soon as it may be sent.
import { Button, Group, Modal, Stack, type MantineSize } from "@mantine/core";
import type { ReactNode } from "react";
import { t } from "../texts";
import { Trouble } from "./parts";

interface FormDialogProps {
  title: string;
  /** What the button that sends says. */
  confirm?: string;
  size?: MantineSize;
  gap?: MantineSize;
  danger?: boolean;
  /** Something is missing yet. */
  disabled?: boolean;
  pending: boolean;
  error: Error | null;
  onClose: () => void;
  onSubmit: () => void;
  children: ReactNode;
}

export function FormDialog({ title, confirm = t.common.save, size = "md", gap = "sm", danger = false, disabled = false, pending, error, onClose, onSubmit, children }: FormDialogProps) {
  return (
    <Modal opened onClose={onClose} title={title} size={size} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!disabled) onSubmit();
        }}
      >
        <Stack gap={gap}>
          {children}
          {error !== null && <Trouble error={error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" {...(danger ? { color: "red" } : {})} loading={pending} disabled={disabled}>{confirm}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

// Asks once more before something that cannot be undone, and says what will happen; for the gravest, a word must be typed.
import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { t } from "../texts";
import { Trouble } from "./parts";

interface ConfirmDialogProps {
  title: string;
  consequence: ReactNode;
  confirm: string;
  /** What must be typed before it goes on. */
  typed?: string;
  harmless?: boolean;
  pending: boolean;
  error: Error | null;
  onClose: () => void;
  onConfirm: () => void;
}

export function ConfirmDialog({ title, consequence, confirm, typed, harmless = false, pending, error, onClose, onConfirm }: ConfirmDialogProps) {
  const [word, setWord] = useState("");
  const ready = typed === undefined || word === typed;
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) onConfirm();
        }}
      >
        <Stack gap="sm">
          <div>{consequence}</div>
          {typed !== undefined && (
            <TextInput
              label={t.common.typeToConfirm(typed)} value={word} onChange={(event) => setWord(event.currentTarget.value)} autoComplete="off" spellCheck={false}
              data-autofocus required
            />
          )}
          {error !== null && <Trouble error={error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose} data-autofocus={typed === undefined || undefined}>{t.common.cancel}</Button>
            <Button type="submit" {...(harmless ? {} : { color: "red" })} loading={pending} disabled={!ready}>{confirm}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

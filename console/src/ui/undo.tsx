// Says what was done, with a button that undoes it.
import { Button, Group } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { t } from "../texts";

const SHOWN_MS = 10_000;

export function tellWithUndo(message: string, undo: () => Promise<unknown>): void {
  const id = `undo-${Date.now()}`;
  notifications.show({
    id,
    autoClose: SHOWN_MS,
    message: (
      <Group justify="space-between" wrap="nowrap" gap="sm">
        <span>{message}</span>
        <Button
          size="compact-xs" variant="default"
          onClick={() => {
            notifications.hide(id);
            undo().then(
              () => notifications.show({ message: t.versions.undone }),
              (error: unknown) => notifications.show({ message: error instanceof Error ? error.message : String(error), color: "red" }),
            );
          }}
        >
          {t.versions.undo}
        </Button>
      </Group>
    ),
  });
}

// Who has an incident in hand: me, nobody, or somebody of the tenant; found by typing, chosen by Enter.
import { Modal, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { t } from "../../texts";
import { Trouble } from "../../ui/parts";
import { usePeople } from "./people";
import classes from "./work.module.css";

interface AssignDialogProps {
  opened: boolean;
  /** How many incidents it is about. */
  count: number;
  pending: boolean;
  error: Error | null;
  onClose: () => void;
  /** A person's id, or null for nobody. */
  onChoose: (assignee: string | null) => void;
}

export function AssignDialog({ opened, count, pending, error, onClose, onChoose }: AssignDialogProps) {
  return (
    <Modal opened={opened} onClose={onClose} title={t.work.assign.title(count)} closeButtonProps={{ "aria-label": t.common.close }}>
      {opened && <Choice pending={pending} error={error} onChoose={onChoose} />}
    </Modal>
  );
}

function Choice({ pending, error, onChoose }: Pick<AssignDialogProps, "pending" | "error" | "onChoose">) {
  const people = usePeople();
  const [typed, setTyped] = useState("");
  const wanted = typed.trim().toLowerCase();
  const others = people.all.filter((person) => person.id !== people.me && person.name.toLowerCase().includes(wanted));
  const offered: { id: string | null; name: string }[] = [
    ...(people.me !== null && t.work.assign.me.toLowerCase().includes(wanted) ? [{ id: people.me, name: t.work.assign.me }] : []),
    ...others,
    ...(t.work.assign.none.toLowerCase().includes(wanted) ? [{ id: null, name: t.work.assign.none }] : []),
  ];
  const first = offered[0];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (first !== undefined && !pending) onChoose(first.id);
      }}
    >
      <Stack gap="sm">
        <TextInput label={t.work.assign.find} value={typed} data-autofocus maxLength={100} onChange={(event) => setTyped(event.currentTarget.value)} />
        <ul className={classes["offers"]}>
          {offered.slice(0, 50).map((one) => (
            <li key={one.id ?? "none"}>
              <button type="button" disabled={pending} onClick={() => onChoose(one.id)}>{one.name}</button>
            </li>
          ))}
        </ul>
        {offered.length === 0 && <p className={classes["note"]}>{t.work.assign.noOne}</p>}
        {error !== null && <Trouble error={error} />}
      </Stack>
    </form>
  );
}

// The passkeys of one's account: made on this device, named, removed.
import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import type { Passkey, PasskeyAdded, PasskeyOptions, Security } from "../../api/identity";
import { canUsePasskeys, makePasskey } from "../../api/webauthn";
import { useStepUp } from "../../lib/stepUp";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Ago, Panel, Trouble } from "../../ui/parts";
import { RecoveryCodes } from "./RecoveryCodes";
import classes from "./Settings.module.css";

const LONGEST_NAME = 80;

export function Passkeys({ security, onChanged }: { security: Security; onChanged: () => void }) {
  const stepUp = useStepUp();
  const [naming, setNaming] = useState<Passkey | "new" | null>(null);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const remove = useMutation({
    mutationFn: (passkey: Passkey) => stepUp(() => request<undefined>(`me/passkeys/${passkey.id}`, { method: "DELETE" })),
    onSuccess: () => {
      setRemoving(null);
      onChanged();
    },
  });
  return (
    <Panel
      title={t.security.passkeys}
      aside={canUsePasskeys() ? <Button size="xs" onClick={() => setNaming("new")}>{t.security.addPasskey}</Button> : t.security.noPasskeysHere}
    >
      {security.passkeys.length === 0 ? (
        <p className={classes["soft"]} style={{ margin: 0 }}>{t.security.passkeysWhy}</p>
      ) : (
        <ul className={classes["rows"]}>
          {security.passkeys.map((passkey) => (
            <li key={passkey.id}>
              <div className={classes["grow"]}>
                <p>{passkey.name}</p>
                <p className={classes["soft"]}>
                  {t.security.made} <Ago at={passkey.created_at} /> · {t.security.used} {passkey.last_used_at === null ? t.keys.neverUsed : <Ago at={passkey.last_used_at} />}
                </p>
              </div>
              <Button size="compact-xs" variant="default" onClick={() => setNaming(passkey)} aria-label={t.security.renameNamed(passkey.name)}>{t.security.rename}</Button>
              <Button size="compact-xs" variant="default" onClick={() => setRemoving(passkey)} aria-label={t.security.removeNamed(passkey.name)}>{t.security.remove}</Button>
            </li>
          ))}
        </ul>
      )}
      {naming !== null && (
        <NamePasskey
          passkey={naming === "new" ? null : naming} onClose={() => setNaming(null)}
          onDone={(recoveryCodes) => {
            setNaming(null);
            if (recoveryCodes.length > 0) setCodes(recoveryCodes);
            onChanged();
          }}
        />
      )}
      {removing !== null && (
        <ConfirmDialog
          title={t.security.removeNamed(removing.name)} consequence={t.security.removePasskeyText} confirm={t.security.remove}
          pending={remove.isPending} error={remove.error} onClose={() => setRemoving(null)} onConfirm={() => remove.mutate(removing)}
        />
      )}
      {codes !== null && <RecoveryCodes codes={codes} onClose={() => setCodes(null)} />}
    </Panel>
  );
}

function NamePasskey({ passkey, onClose, onDone }: { passkey: Passkey | null; onClose: () => void; onDone: (codes: string[]) => void }) {
  const stepUp = useStepUp();
  const [name, setName] = useState(passkey?.name ?? "");
  const save = useMutation({
    mutationFn: async (): Promise<string[] | null> => {
      if (passkey !== null) {
        await request(`me/passkeys/${passkey.id}`, { method: "PATCH", body: { name: name.trim() } });
        return [];
      }
      const options = await stepUp(() => request<PasskeyOptions>("me/passkeys/options", { method: "POST", body: {} }));
      const credential = await makePasskey(options.public_key);
      if (credential === null) return null;
      const made = await request<PasskeyAdded>("me/passkeys", { method: "POST", body: { name: name.trim(), challenge_id: options.challenge_id, credential } });
      return made.recovery_codes ?? [];
    },
    onSuccess: (codes) => {
      if (codes === null) return;
      if (passkey === null) notifications.show({ message: t.security.passkeyMade(name.trim()) });
      onDone(codes);
    },
  });
  const title = passkey === null ? t.security.addPasskey : t.security.renameNamed(passkey.name);
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Stack gap="sm">
          {save.error !== null && <Trouble error={save.error} />}
          {save.isSuccess && save.data === null && <p role="status" style={{ margin: 0 }}>{t.security.calledOff}</p>}
          <TextInput
            label={t.security.passkeyName} description={t.security.passkeyNameHelp} required maxLength={LONGEST_NAME} data-autofocus
            value={name} onChange={(event) => setName(event.currentTarget.value)}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={save.isPending} disabled={name.trim() === ""}>{passkey === null ? t.security.goOn : t.common.save}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

// The authenticator app: added with a QR code and one code to prove it, removed with another; and the recovery codes.
import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { request } from "../../api/client";
import type { RecoveryCodes as Codes, Security, TotpEnrolment } from "../../api/identity";
import { faultOf } from "../../api/problem";
import { dateTime } from "../../lib/format";
import { useStepUp } from "../../lib/stepUp";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Tag } from "../../ui/marks";
import { Copy, Panel, Trouble } from "../../ui/parts";
import { RecoveryCodes } from "./RecoveryCodes";
import classes from "./Settings.module.css";

const QrCode = lazy(() => import("./QrCode").then((module) => ({ default: module.QrCode })));

export function Authenticator({ security, onChanged }: { security: Security; onChanged: () => void }) {
  const stepUp = useStepUp();
  const [doing, setDoing] = useState<"remove" | "renew" | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const begin = useMutation({ mutationFn: () => stepUp(() => request<TotpEnrolment>("me/totp", { method: "POST", body: {} })) });
  const renew = useMutation({
    mutationFn: () => stepUp(() => request<Codes>("me/recovery-codes", { method: "POST", body: {} })),
    onSuccess: (answer) => {
      setDoing(null);
      setCodes(answer.recovery_codes);
    },
  });
  const factors = security.totp !== null || security.passkeys.length > 0;
  return (
    <Panel title={t.security.app}>
      <ul className={classes["rows"]}>
        <li>
          <div className={classes["grow"]}>
            <p>{security.totp === null ? t.security.appOff : t.security.appOn(dateTime(security.totp.enabled_at))}</p>
            {security.totp === null && <p className={classes["soft"]}>{t.security.appWhy}</p>}
          </div>
          {security.totp === null ? (
            <Button size="xs" onClick={() => begin.mutate()} loading={begin.isPending}>{t.security.addApp}</Button>
          ) : (
            <>
              <Tag tone="good">{t.security.on}</Tag>
              <Button size="xs" variant="default" onClick={() => setDoing("remove")}>{t.security.removeApp}</Button>
            </>
          )}
        </li>
        {factors && (
          <li>
            <div className={classes["grow"]}><p>{t.security.codesLeft(security.recovery_codes_left)}</p></div>
            <Button size="xs" variant="default" onClick={() => setDoing("renew")}>{t.security.newCodes}</Button>
          </li>
        )}
      </ul>
      {begin.error !== null && <Trouble error={begin.error} />}
      {begin.data !== undefined && (
        <Enrol
          enrolment={begin.data} onClose={() => begin.reset()}
          onDone={(recoveryCodes) => {
            begin.reset();
            setCodes(recoveryCodes);
          }}
        />
      )}
      {doing === "remove" && <Remove onClose={() => setDoing(null)} onDone={() => { setDoing(null); onChanged(); }} />}
      {doing === "renew" && (
        <ConfirmDialog
          title={t.security.newCodes} consequence={t.security.newCodesText} confirm={t.security.newCodes} harmless
          pending={renew.isPending} error={renew.error} onClose={() => setDoing(null)} onConfirm={() => renew.mutate()}
        />
      )}
      {codes !== null && <RecoveryCodes codes={codes} onClose={() => { setCodes(null); onChanged(); }} />}
    </Panel>
  );
}

function Enrol({ enrolment, onClose, onDone }: { enrolment: TotpEnrolment; onClose: () => void; onDone: (codes: string[]) => void }) {
  const [code, setCode] = useState("");
  const confirm = useMutation({
    mutationFn: () => request<Codes>("me/totp/confirm", { method: "POST", body: { code: code.replace(/\s/g, "") } }),
    onSuccess: (answer) => onDone(answer.recovery_codes),
    onError: () => setCode(""),
  });
  return (
    <Modal opened onClose={onClose} title={t.security.addApp} size="lg" closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          confirm.mutate();
        }}
      >
        <Stack gap="md">
          <div className={classes["row"]} style={{ alignItems: "flex-start" }}>
            <Suspense fallback={<div className={classes["qr"]} />}><QrCode text={enrolment.uri} label={t.security.qr} /></Suspense>
            <div className={classes["grow"]}>
              <p>{t.security.scan}</p>
              <p className={classes["soft"]}>{t.security.orType}</p>
              <p><code>{(enrolment.secret.match(/.{1,4}/g) ?? []).join(" ")}</code> <Copy value={enrolment.secret} label={t.security.copySecret} /></p>
            </div>
          </div>
          {confirm.error !== null && faultOf(confirm.error, "/code") === undefined && <Trouble error={confirm.error} />}
          <TextInput
            label={t.security.codeNow} description={t.security.codeNowHelp} required inputMode="numeric" autoComplete="one-time-code" maxLength={10} data-autofocus
            value={code} onChange={(event) => setCode(event.currentTarget.value)} error={faultOf(confirm.error, "/code")}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={confirm.isPending}>{t.security.turnOn}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Remove({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const stepUp = useStepUp();
  const [code, setCode] = useState("");
  const remove = useMutation({
    mutationFn: () => stepUp(() => request<undefined>("me/totp/disable", { method: "POST", body: { code: code.trim() } })),
    onSuccess: () => {
      notifications.show({ message: t.security.appRemoved });
      onDone();
    },
  });
  return (
    <Modal opened onClose={onClose} title={t.security.removeApp} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          remove.mutate();
        }}
      >
        <Stack gap="sm">
          <p style={{ margin: 0 }}>{t.security.removeAppText}</p>
          {remove.error !== null && <Trouble error={remove.error} />}
          <TextInput label={t.security.anyCode} required maxLength={40} autoComplete="one-time-code" data-autofocus value={code} onChange={(event) => setCode(event.currentTarget.value)} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" color="red" loading={remove.isPending}>{t.security.removeApp}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

// Changes that need a recent sign-in: where the platform asks for it, so does a dialog, and the change is tried again.
import { Button, Group, Modal, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useMemo, useRef, useState, type ReactNode } from "react";
import { request } from "../api/client";
import { ApiProblem } from "../api/problem";
import { t } from "../texts";
import { Trouble } from "../ui/parts";

const NEEDED = "urn:fettle:problem:recent-sign-in-required";

type Attempt = <Answer>(change: () => Promise<Answer>) => Promise<Answer>;

const StepUpContext = createContext<Attempt>((change) => change());

/** Makes a change, and asks the person to confirm who they are where the platform wants to know. */
export function useStepUp(): Attempt {
  return useContext(StepUpContext);
}

interface Asking {
  settle: (confirmed: boolean) => void;
}

export function StepUp({ children }: { children: ReactNode }) {
  const [asking, setAsking] = useState<Asking | null>(null);
  const waiting = useRef<Promise<boolean> | null>(null);

  const ask = useCallback(() => {
    waiting.current ??= new Promise<boolean>((resolve) => {
      setAsking({
        settle: (confirmed) => {
          waiting.current = null;
          setAsking(null);
          resolve(confirmed);
        },
      });
    });
    return waiting.current;
  }, []);

  const attempt = useMemo<Attempt>(
    () => async (change) => {
      try {
        return await change();
      } catch (error) {
        const asksForIt = error instanceof ApiProblem && error.type === NEEDED;
        if (!asksForIt || !(await ask())) throw error;
        return change();
      }
    },
    [ask],
  );

  return (
    <StepUpContext value={attempt}>
      {children}
      {asking !== null && <ConfirmYourself onSettled={asking.settle} />}
    </StepUpContext>
  );
}

function ConfirmYourself({ onSettled }: { onSettled: (confirmed: boolean) => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const confirm = useMutation({
    mutationFn: () => request<undefined>("me/confirm", { method: "POST", body: { password, ...(code.trim() === "" ? {} : { code: code.trim() }) } }),
    onSuccess: () => onSettled(true),
  });
  return (
    <Modal opened onClose={() => onSettled(false)} title={t.stepUp.title} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          confirm.mutate();
        }}
      >
        <Stack gap="sm">
          <p style={{ margin: 0 }}>{t.stepUp.text}</p>
          {confirm.error !== null && <Trouble error={confirm.error} />}
          <PasswordInput label={t.signIn.password} autoComplete="current-password" required data-autofocus value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
          <TextInput label={t.stepUp.code} description={t.stepUp.codeHelp} autoComplete="one-time-code" maxLength={40} value={code} onChange={(event) => setCode(event.currentTarget.value)} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => onSettled(false)}>{t.common.cancel}</Button>
            <Button type="submit" loading={confirm.isPending}>{t.stepUp.confirm}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

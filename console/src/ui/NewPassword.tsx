// A new password, typed twice, with what is still wrong with it.
import { PasswordInput } from "@mantine/core";
import { t } from "../texts";

export const SHORTEST_PASSWORD = 12;

export interface TypedPassword {
  next: string;
  again: string;
}

export const NOTHING_TYPED: TypedPassword = { next: "", again: "" };

export function isReady({ next, again }: TypedPassword): boolean {
  return next.length >= SHORTEST_PASSWORD && again === next;
}

interface NewPasswordProps {
  value: TypedPassword;
  onChange: (value: TypedPassword) => void;
  autoFocus?: boolean;
}

export function NewPassword({ value, onChange, autoFocus = false }: NewPasswordProps) {
  const { next, again } = value;
  const missing = SHORTEST_PASSWORD - next.length;
  return (
    <>
      <PasswordInput
        label={t.changePassword.next} description={t.changePassword.rule(SHORTEST_PASSWORD)} name="new-password" autoComplete="new-password" required
        value={next} onChange={(event) => onChange({ next: event.currentTarget.value, again })} autoFocus={autoFocus} maxLength={128}
        error={next !== "" && missing > 0 ? t.changePassword.tooShort(missing) : false}
      />
      <PasswordInput
        label={t.changePassword.again} name="new-password-again" autoComplete="new-password" required
        value={again} onChange={(event) => onChange({ next, again: event.currentTarget.value })} maxLength={128}
        error={again !== "" && again !== next ? t.changePassword.differs : false}
      />
    </>
  );
}

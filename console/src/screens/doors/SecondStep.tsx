// The second half of a sign-in: a code of the authenticator app, a passkey, or a recovery code.
import { Anchor, Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Challenge, SecondFactor } from "../../api/identity";
import { session } from "../../api/session";
import { canUsePasskeys, usePasskey } from "../../api/webauthn";
import { t } from "../../texts";
import { IconKey } from "../../ui/icons";
import { Trouble } from "../../ui/parts";
import { Door } from "./Door";

const CODE_DIGITS = 6;

export function SecondStep({ challenge, onBack }: { challenge: Challenge; onBack: () => void }) {
  const offered = challenge.methods.filter((method) => method !== "passkey" || canUsePasskeys());
  const [method, setMethod] = useState<SecondFactor>(offered.includes("passkey") && !offered.includes("totp") ? "passkey" : (offered[0] ?? "recovery_code"));
  const [code, setCode] = useState("");
  const answer = useMutation({
    mutationFn: async (given: string) => {
      if (method !== "passkey") return session.answerChallenge(challenge.challenge, method, given.trim());
      const options = await session.passkeyOptions(challenge.challenge);
      const credential = await usePasskey(options.public_key);
      if (credential !== null) await session.answerWithPasskey(options.challenge_id, credential, challenge.challenge);
    },
    onError: () => setCode(""),
  });
  const type = (given: string) => {
    setCode(given);
    // A whole code says by itself that it is whole.
    if (method === "totp" && given.replace(/\s/g, "").length === CODE_DIGITS && !answer.isPending) answer.mutate(given.replace(/\s/g, ""));
  };
  const others = offered.filter((other) => other !== method);
  return (
    <Door
      title={t.signIn.second} lead={t.signIn.secondLead[method]} onSubmit={() => answer.mutate(code)}
      foot={<Button variant="subtle" color="gray" size="xs" onClick={onBack}>{t.signIn.startOver}</Button>}
    >
      {answer.error !== null && <Trouble error={answer.error} title={t.signIn.secondRefused} />}
      {method !== "passkey" && (
        <TextInput
          key={method} label={t.signIn.code[method]} size="md" required autoFocus value={code} onChange={(event) => type(event.currentTarget.value)}
          autoComplete="one-time-code" inputMode={method === "totp" ? "numeric" : "text"} maxLength={40} autoCapitalize="none" spellCheck={false}
        />
      )}
      <Button type="submit" size="md" loading={answer.isPending} leftSection={method === "passkey" ? <IconKey /> : undefined} autoFocus={method === "passkey"}>
        {method === "passkey" ? t.signIn.withPasskey : t.signIn.go}
      </Button>
      {others.map((other) => (
        <Anchor
          key={other} component="button" type="button" size="sm"
          onClick={() => {
            setMethod(other);
            setCode("");
            answer.reset();
          }}
        >
          {t.signIn.instead[other]}
        </Anchor>
      ))}
    </Door>
  );
}

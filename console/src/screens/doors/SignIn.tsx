// Sign-in: e-mail and password, a passkey alone, or the provider of one's organisation; then a second factor where one is set.
import { Anchor, Button, Divider, PasswordInput, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Challenge, SecondFactor, SignInProvider } from "../../api/identity";
import { ApiProblem } from "../../api/problem";
import { session } from "../../api/session";
import { canUsePasskeys, usePasskey } from "../../api/webauthn";
import { t } from "../../texts";
import { IconKey } from "../../ui/icons";
import { Notice, Trouble } from "../../ui/parts";
import { Door } from "./Door";
import { DOORS, returnAddress } from "./places";
import { SecondStep } from "./SecondStep";

const TYPING_MS = 400;
const FACTORS: SecondFactor[] = ["totp", "passkey", "recovery_code"];

function isRefused(error: Error): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

export function SignIn() {
  const [challenge, setChallenge] = useState<Challenge | null>(arrivedChallenge);
  if (challenge !== null) return <SecondStep challenge={challenge} onBack={() => { arrived = null; setChallenge(null); }} />;
  return <FirstStep onChallenge={setChallenge} />;
}

let arrived: Challenge | null = null;

/* A provider may bring somebody back for whom a second factor is still to follow; what it brings leaves the address at once. */
function arrivedChallenge(): Challenge | null {
  const fragment = new URLSearchParams(window.location.hash.slice(1));
  const challenge = fragment.get("challenge");
  if (challenge !== null) {
    const methods = FACTORS.filter((factor) => (fragment.get("methods") ?? "").split(",").includes(factor));
    arrived = { mfa_required: true, challenge, methods, expires_in: 0 };
    window.history.replaceState(null, "", window.location.pathname);
  }
  return arrived;
}

function FirstStep({ onChallenge }: { onChallenge: (challenge: Challenge) => void }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useMutation({
    mutationFn: () => session.signIn(email.trim(), password),
    onSuccess: (challenge) => challenge !== null && onChallenge(challenge),
    onError: () => setPassword(""),
  });
  const withPasskey = useMutation({ mutationFn: signInWithPasskey });
  const providers = useProviders(email);
  const error = signIn.error ?? withPasskey.error;
  const failed = providerFailure();
  return (
    <Door
      title={t.signIn.title} lead={t.signIn.lead} onSubmit={() => signIn.mutate()}
      foot={<><p><Anchor href={DOORS.forgotPassword} size="sm">{t.signIn.forgot}</Anchor></p><p>{t.signIn.firstTime}</p></>}
    >
      {session.hasExpired() && error === null && <Notice title={t.signIn.expired}>{t.signIn.expiredText}</Notice>}
      {failed !== null && error === null && <Notice title={t.signIn.providerFailed}>{failed}</Notice>}
      {error !== null && <Trouble error={error} {...(isRefused(error) ? { title: t.signIn.refused } : {})} />}
      <TextInput
        label={t.signIn.email} type="email" name="email" size="md" autoComplete="username webauthn" required autoFocus
        value={email} onChange={(event) => setEmail(event.currentTarget.value)}
      />
      {providers.map((provider) => (
        <Button key={provider.id} component="a" href={startAddress(provider)} size="md" variant="default">{t.signIn.withProvider(provider.name)}</Button>
      ))}
      <PasswordInput
        label={t.signIn.password} name="password" autoComplete="current-password" required
        value={password} onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <Button type="submit" size="md" loading={signIn.isPending}>{t.signIn.submit}</Button>
      {canUsePasskeys() && (
        <>
          <Divider label={t.signIn.or} />
          <Button variant="default" size="md" leftSection={<IconKey />} loading={withPasskey.isPending} onClick={() => withPasskey.mutate()}>
            {t.signIn.withPasskey}
          </Button>
        </>
      )}
    </Door>
  );
}

async function signInWithPasskey(): Promise<void> {
  const options = await session.passkeyOptions();
  const credential = await usePasskey(options.public_key);
  if (credential !== null) await session.answerWithPasskey(options.challenge_id, credential);
}

function useProviders(email: string): SignInProvider[] {
  const [settled] = useDebouncedValue(email.trim(), TYPING_MS);
  const complete = /^[^@\s]+@[^@\s]+\.[^@\s]{2,}$/.test(settled);
  const { data } = useQuery({
    queryKey: ["sign-in-providers", settled.slice(settled.indexOf("@"))],
    queryFn: () => session.providersOf(settled),
    enabled: complete,
    retry: false,
  });
  return complete ? (data ?? []) : [];
}

/* The provider's way begins at our own platform, whatever the answer says. */
function startAddress(provider: SignInProvider): string {
  const start = new URL(provider.start_href, window.location.origin);
  const ours = new URL(start.pathname, window.location.origin);
  ours.search = start.search;
  ours.searchParams.set("return_to", returnAddress());
  return ours.href;
}

/** Why a sign-in through a provider came back without one. */
function providerFailure(): string | null {
  const code = new URLSearchParams(window.location.search).get("sign_in_error");
  return code === null ? null : (t.signIn.providerFailures[code] ?? t.signIn.providerFailures["other"] ?? null);
}

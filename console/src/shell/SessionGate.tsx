// Lets nobody past who is not signed in, and keeps the address, so that after sign-in one is where one wanted to be.
import { Button, Center, Loader } from "@mantine/core";
import { useSyncExternalStore, type ReactNode } from "react";
import { session } from "../api/session";
import { ApiProblem } from "../api/problem";
import { ChangePassword } from "../screens/ChangePassword";
import { SignIn } from "../screens/SignIn";
import { t } from "../texts";
import { Trouble } from "../ui/parts";

export function SessionGate({ children }: { children: ReactNode }) {
  const state = useSyncExternalStore(session.subscribe, session.state);
  switch (state) {
    case "starting":
      return (
        <Center mih="100dvh">
          <Loader type="dots" aria-label={t.common.loading} />
        </Center>
      );
    case "unreachable":
      return (
        <Center mih="100dvh" p="md">
          <div>
            <Trouble error={ApiProblem.unreachable()} />
            <Button mt="md" onClick={() => void session.start()}>
              {t.problem.retry}
            </Button>
          </div>
        </Center>
      );
    case "signed-out":
      return <SignIn />;
    case "change-password":
      return <ChangePassword />;
    case "signed-in":
      return children;
  }
}

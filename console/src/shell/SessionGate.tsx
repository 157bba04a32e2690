// Lets nobody past who is not signed in, and keeps the address, so that after sign-in one is where one wanted to be.
import { Button, Center, Loader } from "@mantine/core";
import { lazy, Suspense, useSyncExternalStore, type ReactNode } from "react";
import { session } from "../api/session";
import { ApiProblem } from "../api/problem";
import { ChangePassword } from "../screens/doors/ChangePassword";
import { DOORS } from "../screens/doors/places";
import { SignIn } from "../screens/doors/SignIn";
import { t } from "../texts";
import { Trouble } from "../ui/parts";

/* Pages that need no sign-in, and that a mail's link may open whoever is signed in. */
const OPEN_TO_ALL: Record<string, ReturnType<typeof lazy>> = {
  [DOORS.forgotPassword]: lazy(() => import("../screens/doors/Forgot").then((module) => ({ default: module.Forgot }))),
  [DOORS.resetPassword]: lazy(() => import("../screens/doors/Reset").then((module) => ({ default: module.Reset }))),
  [DOORS.invitation]: lazy(() => import("../screens/doors/Invitation").then((module) => ({ default: module.Invitation }))),
};

export function SessionGate({ children }: { children: ReactNode }) {
  const state = useSyncExternalStore(session.subscribe, session.state);
  const Open = OPEN_TO_ALL[window.location.pathname];
  if (Open !== undefined) return <Suspense fallback={<Waiting />}><Open /></Suspense>;
  switch (state) {
    case "starting":
      return <Waiting />;
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

function Waiting() {
  return (
    <Center mih="100dvh">
      <Loader type="dots" aria-label={t.common.loading} />
    </Center>
  );
}

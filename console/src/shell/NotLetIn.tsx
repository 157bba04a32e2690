// Why a tenant does not let this sign-in in, and what to do: set up a second factor here, or sign in another way.
import { Button } from "@mantine/core";
import { lazy, Suspense } from "react";
import { session } from "../api/session";
import { t } from "../texts";
import { Empty, Lines, PageHead, Panel } from "../ui/parts";

const SecondFactors = lazy(() => import("../screens/settings/Security").then((module) => ({ default: module.SecondFactors })));

export function NotLetIn({ reason, onChanged }: { reason: string; onChanged: () => void }) {
  if (reason !== "second-factor-required") {
    return (
      <Panel>
        <Empty title={t.security.otherWay}>
          <p>{t.security.otherWayText}</p>
          <Button onClick={() => void session.signOut()}>{t.shell.signOut}</Button>
        </Empty>
      </Panel>
    );
  }
  return (
    <>
      <title>{t.pageTitle(t.security.asked)}</title>
      <PageHead title={t.security.asked} />
      <p>{t.security.askedText}</p>
      <Suspense fallback={<Panel><Lines rows={6} /></Panel>}><SecondFactors onChanged={onChanged} /></Suspense>
    </>
  );
}

// What stands where a screen is still loading, has failed, or does not exist.
import { Button } from "@mantine/core";
import { Link, type ErrorComponentProps } from "@tanstack/react-router";
import { t } from "../texts";
import { Empty, Lines, Panel, Trouble } from "../ui/parts";

export function ScreenLoading() {
  return (
    <Panel>
      <Lines rows={8} />
    </Panel>
  );
}

export function RouteTrouble({ error, reset }: ErrorComponentProps) {
  return <Trouble error={error instanceof Error ? error : new Error(String(error))} onRetry={reset} />;
}

export function NotFound() {
  return (
    <Empty title={t.notFound.title}>
      <p>{t.notFound.text}</p>
      <Button component={Link} to="/" variant="default">
        {t.notFound.home}
      </Button>
    </Empty>
  );
}

// What stands where a screen is still loading, has failed, or does not exist.
import { Button } from "@mantine/core";
import { Link, type ErrorComponentProps } from "@tanstack/react-router";
import { t } from "../texts";
import { Empty, Lines, Panel, Trouble } from "../ui/parts";

const NOT_FETCHED = /dynamically imported module|module script failed|Failed to fetch/i;

export function ScreenLoading() {
  return (
    <Panel>
      <Lines rows={8} />
    </Panel>
  );
}

export function RouteTrouble({ error, reset }: ErrorComponentProps) {
  const whole = error instanceof Error ? error : new Error(String(error));
  // A screen that cannot be fetched any more belongs to a version that has been replaced since the page was opened.
  if (NOT_FETCHED.test(whole.message)) {
    return (
      <Empty title={t.problem.newVersion}>
        <p>{t.problem.newVersionText}</p>
        <Button onClick={() => window.location.reload()}>{t.problem.reload}</Button>
      </Empty>
    );
  }
  return <Trouble error={whole} onRetry={reset} />;
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

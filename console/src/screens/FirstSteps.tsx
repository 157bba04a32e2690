// The overview of a tenant where nothing has happened yet: how to see the first incident heal.
import { Link } from "@tanstack/react-router";
import { useMay, useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Command, Empty, Panel } from "../ui/parts";

export function FirstSteps() {
  const tenant = useTenant();
  const mayMakeKeys = useMay("keys:write");
  return (
    <Panel>
      <Empty title={t.firstSteps.title}>
        <p>{t.firstSteps.lead}</p>
        <h3>{t.firstSteps.demoTitle}</h3>
        <p>{t.firstSteps.demo}</p>
        <Command>fettle demo host</Command>
        <h3>{t.firstSteps.apiTitle}</h3>
        <p>
          {t.firstSteps.api}{" "}
          {mayMakeKeys && <Link to="/t/$tenant/settings/keys" params={{ tenant: tenant.slug }}>{t.firstSteps.makeKey}</Link>}
        </p>
        <Command>{exampleRequest(window.location.origin)}</Command>
        <p>{t.firstSteps.then}</p>
      </Empty>
    </Panel>
  );
}

export function exampleRequest(origin: string): string {
  return [
    `curl -X POST ${origin}/api/v1/exceptions \\`,
    '  -H "Authorization: Bearer $FETTLE_API_KEY" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '{"check_type": "disk_space", "host": "web-1", "severity": "high", "summary": "/var is 96 % full"}'`,
  ].join("\n");
}

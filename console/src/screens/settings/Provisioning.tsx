// How an identity provider keeps the tenant's people in step by SCIM: the address, the key, what maps to what.
import { Link } from "@tanstack/react-router";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Command, Facts, PageHead, Panel } from "../../ui/parts";
import classes from "./Settings.module.css";

export function Provisioning() {
  const tenant = useTenant();
  const base = `${window.location.origin}/api/v1/scim/v2`;
  return (
    <>
      <title>{t.pageTitle(t.settings.provisioning)}</title>
      <PageHead title={t.settings.provisioning} />
      <p className={classes["lead"]}>{t.provisioning.lead}</p>
      <Panel title={t.provisioning.setUp}>
        <ol>
          <li>
            {t.provisioning.key} <Link to="/t/$tenant/settings/keys" params={{ tenant: tenant.slug }}>{t.firstSteps.makeKey}</Link>
          </li>
          <li>{t.provisioning.address}<Command>{base}</Command></li>
          <li>{t.provisioning.groups} <Link to="/t/$tenant/settings/roles" params={{ tenant: tenant.slug }}>{t.settings.roles}</Link></li>
        </ol>
        <p>{t.provisioning.tryIt}</p>
        <Command>{`curl -H "Authorization: Bearer $FETTLE_API_KEY" "${base}/Users?filter=userName%20eq%20%22ann@example.org%22"`}</Command>
      </Panel>
      <Panel title={t.provisioning.facts}><Facts items={t.provisioning.known} /></Panel>
    </>
  );
}

// Says across every page of a tenant that nothing heals by itself: who stopped it, why, and since when.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { brakesQuery } from "../api/brakes";
import { useTenant } from "../lib/tenant";
import { t } from "../texts";
import { Ago } from "../ui/parts";
import classes from "./Shell.module.css";

export function StopBanner() {
  const tenant = useTenant();
  const { data } = useQuery({ ...brakesQuery(tenant.id), enabled: tenant.permissions.has("brakes:read") });
  const pressed = (["platform", "tenant"] as const).filter((name) => data?.[name] != null);
  // The place for the message is always there, so that what appears in it is read out.
  return (
    <div role="status" className={classes["bannerPlace"]}>
      {pressed.map((name) => {
        const stop = data?.[name];
        return stop == null ? null : (
          <p key={name} className={classes["banner"]} data-state="offline">
            <Link to="/t/$tenant/brakes" params={{ tenant: tenant.slug }} style={{ color: "inherit" }}><b>{t.brakes.stopped[name]}</b></Link>{" "}
            {t.brakes.stoppedBy(stop.stopped_by_name ?? stop.stopped_by, stop.reason)} <Ago at={stop.stopped_at} />
          </p>
        );
      })}
    </div>
  );
}

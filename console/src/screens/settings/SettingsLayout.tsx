// The settings: their parts beside each other, the chosen one below.
import { NativeSelect, NavLink } from "@mantine/core";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useTenant } from "../../lib/tenant";
import { isOffered, SETTINGS, SETTINGS_PAGES } from "../../shell/pages";
import { t } from "../../texts";
import classes from "./Settings.module.css";

export function SettingsLayout() {
  const tenant = useTenant();
  const navigate = useNavigate();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const groups = SETTINGS.map((group) => ({ ...group, pages: group.pages.filter((page) => isOffered(page, tenant.permissions)) })).filter(
    (group) => group.pages.length > 0,
  );
  const here = SETTINGS_PAGES.find((page) => path.startsWith(page.to.replace("$tenant", tenant.slug)));
  return (
    <div className={classes["settings"]}>
      <nav aria-label={t.settings.title} className={classes["nav"]}>
        <NativeSelect
          className={classes["narrowNav"] ?? ""} aria-label={t.settings.choose} value={here?.to ?? ""}
          data={groups.map((group) => ({ group: group.name, items: group.pages.map((page) => ({ value: page.to, label: page.label })) }))}
          onChange={(event) => {
            const page = SETTINGS_PAGES.find((one) => one.to === event.currentTarget.value);
            if (page !== undefined) void navigate({ to: page.to, params: { tenant: tenant.slug } });
          }}
        />
        <div className={classes["wideNav"]}>
          {groups.map((group) => (
            <section key={group.name} aria-label={group.name}>
              <p className={classes["groupName"]} aria-hidden="true">{group.name}</p>
              {group.pages.map((page) => (
                <NavLink
                  key={page.to} label={page.label} active={page === here} aria-current={page === here ? "page" : undefined} className={classes["link"] ?? ""}
                  renderRoot={(props: object) => <Link to={page.to} params={{ tenant: tenant.slug }} {...props} />}
                />
              ))}
            </section>
          ))}
        </div>
      </nav>
      <div className={classes["part"]}><Outlet /></div>
    </div>
  );
}

// The signed-in person: who it is, the way to one's own settings, and out.
import { ActionIcon, Menu } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { session } from "../api/session";
import type { Me } from "../api/types";
import type { TenantScope } from "../lib/tenant";
import { t } from "../texts";
import { IconOut, IconScreen, IconUser } from "../ui/icons";

export function PersonMenu({ me, current }: { me: Me | undefined; current: TenantScope | undefined }) {
  return (
    <Menu position="bottom-end" width="15rem">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t.shell.person}><IconUser /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {me !== undefined && (
          <Menu.Label>
            {me.name || me.email}
            {me.name !== "" && <><br />{me.email}</>}
          </Menu.Label>
        )}
        {current !== undefined && (
          <Menu.Item
            leftSection={<IconScreen />}
            renderRoot={(props: object) => <Link to="/t/$tenant/settings/appearance" params={{ tenant: current.slug }} {...props} />}
          >
            {t.settings.appearance}
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconOut />} onClick={() => void session.signOut()}>{t.shell.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

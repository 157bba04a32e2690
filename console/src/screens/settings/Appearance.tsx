// How the console looks on this browser: colours, how much room rows take, the time zone of every time.
import { SegmentedControl, Select, useMantineColorScheme, type MantineColorScheme } from "@mantine/core";
import { dateTime } from "../../lib/format";
import { useNow } from "../../lib/now";
import { browserTimeZone, DENSITIES, preferences, timeZones, usePreferences, type Density } from "../../lib/preferences";
import { t } from "../../texts";
import { PageHead, Panel } from "../../ui/parts";
import classes from "./Settings.module.css";

const SCHEMES: MantineColorScheme[] = ["auto", "light", "dark"];
const OF_BROWSER = "browser";

export function Appearance() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { density, timeZone } = usePreferences();
  const now = useNow();
  return (
    <>
      <title>{t.pageTitle(t.settings.appearance)}</title>
      <PageHead title={t.settings.appearance} />
      <p className={classes["lead"]}>{t.appearance.keptHere}</p>
      <Panel title={t.appearance.colours}>
        <SegmentedControl
          aria-label={t.appearance.colours} value={colorScheme} onChange={(value) => setColorScheme(value as MantineColorScheme)}
          data={SCHEMES.map((value) => ({ value, label: t.appearance.scheme[value] }))}
        />
      </Panel>
      <Panel title={t.appearance.density}>
        <p className={classes["lead"]}>{t.appearance.densityHelp}</p>
        <SegmentedControl
          aria-label={t.appearance.density} value={density} onChange={(value) => preferences.set({ density: value as Density })}
          data={DENSITIES.map((value) => ({ value, label: t.appearance.densityName[value] }))}
        />
      </Panel>
      <Panel title={t.appearance.zone}>
        <div className={classes["form"]}>
          <Select
            label={t.appearance.zone} description={t.appearance.zoneHelp} searchable allowDeselect={false} value={timeZone ?? OF_BROWSER}
            data={[{ value: OF_BROWSER, label: t.appearance.zoneOfBrowser(browserTimeZone()) }, ...timeZones()]}
            onChange={(value) => preferences.set({ timeZone: value === OF_BROWSER ? null : value })}
          />
          <p className={classes["soft"]} style={{ margin: 0 }}>{t.appearance.now(dateTime(new Date(now).toISOString()))}</p>
        </div>
      </Panel>
    </>
  );
}

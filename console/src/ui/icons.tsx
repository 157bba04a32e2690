// The console's own icons: one 20-pixel grid, one stroke, always beside words or with a label.
import type { SVGProps } from "react";

function icon(path: string) {
  return function Icon(props: SVGProps<SVGSVGElement>) {
    return (
      <svg
        viewBox="0 0 20 20" width="1.125rem" height="1.125rem" fill="none" stroke="currentColor" strokeWidth={1.6}
        strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false" {...props}
      >
        <path d={path} />
      </svg>
    );
  };
}

export const IconOverview = icon("M3 3.5h6v7H3zM11 3.5h6v4h-6zM11 9.5h6v7h-6zM3 12.5h6v4H3z");
export const IconIncidents = icon("M10 3 18 16.5H2zM10 8v3.8M10 14.2v.1");
export const IconApprovals = icon("M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM6.8 10.2l2.2 2.2 4.4-4.6");
export const IconRules = icon("M4 5h3M10 5h6M4 10h7M14 10h2M4 15h2M9 15h7M7 3.5v3M11 8.5v3M6 13.5v3");
export const IconEvidence = icon("M10 2.5 16.5 5v4.6c0 3.8-2.6 6.6-6.5 7.9-3.9-1.3-6.5-4.1-6.5-7.9V5zM7.2 10l2 2 3.6-3.9");
export const IconKey = icon("M12.5 3a4.5 4.5 0 1 1-3.2 7.7L4 16v1.5h3V15h2v-2l1.4-1.4M13.5 6.6v.1");
export const IconSun = icon("M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1");
export const IconMoon = icon("M16.5 11.6A6.8 6.8 0 0 1 8.4 3.5a6.8 6.8 0 1 0 8.1 8.1z");
export const IconHelp = icon("M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM7.8 8a2.2 2.2 0 1 1 3.2 2c-.7.3-1 .8-1 1.5M10 14.1v.1");
export const IconUser = icon("M10 3a3.2 3.2 0 1 0 0 6.4A3.2 3.2 0 0 0 10 3zM3.8 17c.4-3.2 2.9-5 6.2-5s5.8 1.8 6.2 5");
export const IconChevron = icon("M6 8l4 4 4-4");
export const IconRight = icon("M8 5l5 5-5 5");
export const IconBack = icon("M12 5l-5 5 5 5");
export const IconSearch = icon("M8.8 3.5a5.3 5.3 0 1 0 0 10.6 5.3 5.3 0 0 0 0-10.6zM12.8 12.8 17 17");
export const IconDownload = icon("M10 3v9M6.5 8.8 10 12.3l3.5-3.5M3.5 16.5h13");
export const IconCopy = icon("M7.5 7.5h9v9h-9zM12.5 4.5v-1h-9v9h1");
export const IconCheck = icon("M4 10.5 8 14.5 16 5.5");
export const IconCross = icon("M5 5l10 10M15 5 5 15");
export const IconPlus = icon("M10 4v12M4 10h12");
export const IconClock = icon("M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM10 6v4.3l2.8 1.7");
export const IconPlay = icon("M6.5 4.5v11l9-5.5z");
export const IconPerson = icon("M10 3.5a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM4.5 16.5c.3-2.8 2.5-4.4 5.5-4.4s5.2 1.6 5.5 4.4");
export const IconPause = icon("M7 4.5v11M13 4.5v11");
export const IconOut = icon("M8.5 3.5h-5v13h5M8 10h9M13.5 6.5 17 10l-3.5 3.5");
export const IconIn = icon("M11.5 3.5h5v13h-5M3 10h9M8.5 6.5 12 10l-3.5 3.5");
export const IconGate = icon("M3 16.5V5M17 16.5V5M3 8h14M3 12h14");
export const IconLoop = icon("M4 10a6 6 0 0 1 10.4-4.1L16.5 8M16.5 3.8V8h-4.2M16 10a6 6 0 0 1-10.4 4.1L3.5 12M3.5 16.2V12h4.2");
export const IconStorm = icon("M6 12.5a3.2 3.2 0 0 1 .2-6.4A4.3 4.3 0 0 1 14.4 7a2.8 2.8 0 0 1 .1 5.5M10.6 9.5 8.4 13h3l-2.2 4");
export const IconMute = icon("M4 10h12M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15z");
export const IconSpark = icon("M10 3v4M10 13v4M3 10h4M13 10h4");
export const IconSettings = icon("M10 7.4a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2zM10 2.5v2.2M10 15.3v2.2M2.5 10h2.2M15.3 10h2.2M4.7 4.7l1.6 1.6M13.7 13.7l1.6 1.6M15.3 4.7l-1.6 1.6M6.3 13.7l-1.6 1.6");
export const IconAudit = icon("M5 2.5h7l3.5 3.5v11.5H5zM12 2.5V6h3.5M7.5 9.5h5.5M7.5 12h5.5M7.5 14.5h3");
export const IconEvents = icon("M3 5h4l2.5 5L7 15H3M17 5h-4M17 10h-5M17 15h-4");
export const IconHealth = icon("M10 17S3 12.6 3 7.8A3.8 3.8 0 0 1 10 5.6a3.8 3.8 0 0 1 7 2.2C17 12.6 10 17 10 17zM5.5 9.8h2.4l1.2-2.3 1.8 4 1.2-1.7h2.4");
export const IconScreen = icon("M2.5 4h15v10h-15zM7 17h6M10 14v3");
export const IconTenant = icon("M3.5 17V5.5l6-2.5v14M9.5 8h7v9M2.5 17h15M6 8v.1M6 11v.1M6 14v.1M13 11v.1M13 14v.1");
export const IconTool = icon("M12.6 3.4a4.2 4.2 0 0 0-4.9 5.7L3 13.8 6.2 17l4.7-4.7a4.2 4.2 0 0 0 5.7-4.9l-2.7 2.7-3-3z");
export const IconPack = icon("M10 2.5 17 6v8l-7 3.5L3 14V6zM3 6l7 3.5L17 6M10 9.5v8");

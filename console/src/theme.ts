// Every design token of the console, in one place: colour, type, space, and what severity and state look like.
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";
import { t } from "./texts";

const fettle: MantineColorsTuple = [
  "#e9f6f5", "#d2ebe9", "#a5d7d3", "#75c1bc", "#4caca6",
  "#2b9690", "#13807a", "#0b6e69", "#075a56", "#044542",
];

const ink: MantineColorsTuple = [
  "#f7f8f9", "#eef0f2", "#e2e6e9", "#d0d6db", "#b1bac2",
  "#87929d", "#66727d", "#4b5660", "#333c44", "#1c2329",
];

const night: MantineColorsTuple = [
  "#dbe1e6", "#b9c2ca", "#98a4ae", "#74818c", "#46525c",
  "#333e47", "#27313a", "#1b232a", "#151c22", "#0f1519",
];

/* White on it keeps 4.5:1, so that what destroys is written as clearly as what does not. */
const alarm: MantineColorsTuple = [
  "#fdebed", "#f9d3d7", "#f2a7ae", "#ea7883", "#e0505e",
  "#d22f41", "#c01f34", "#b3142b", "#930f22", "#740a1a",
];

const sans = '"Inter Variable", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export const theme = createTheme({
  primaryColor: "fettle",
  primaryShade: { light: 7, dark: 6 },
  colors: { fettle, gray: ink, dark: night, red: alarm },
  autoContrast: true,
  luminanceThreshold: 0.34,
  fontFamily: sans,
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  lineHeights: { xs: "1.4", sm: "1.45", md: "1.5", lg: "1.5", xl: "1.4" },
  headings: {
    fontFamily: sans,
    fontWeight: "620",
    sizes: {
      h1: { fontSize: "1.375rem", lineHeight: "1.3" },
      h2: { fontSize: "1rem", lineHeight: "1.4" },
      h3: { fontSize: "0.875rem", lineHeight: "1.4" },
    },
  },
  spacing: { xs: "0.375rem", sm: "0.625rem", md: "1rem", lg: "1.5rem", xl: "2.25rem" },
  defaultRadius: "sm",
  radius: { xs: "3px", sm: "6px", md: "10px", lg: "14px", xl: "20px" },
  cursorType: "pointer",
  focusRing: "auto",
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: "sm" } },
    TextInput: { defaultProps: { size: "sm" } },
    PasswordInput: { defaultProps: { size: "md" } },
    Textarea: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "sm" } },
    Tooltip: { defaultProps: { openDelay: 350, withArrow: false, events: { hover: true, focus: true, touch: false } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": t.common.close } } },
    Modal: { defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.45 } } },
  },
});

/* Text on its own tint keeps at least 4.5:1, and a mark on the page at least 3:1, in both schemes. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {
    "--fettle-row-height": "2.75rem",
    "--fettle-cell": "0.55rem",
    "--fettle-header-height": "3.25rem",
    "--fettle-nav-width": "13rem",
  },
  light: {
    "--fettle-page": "#f4f6f7",
    "--fettle-surface": "#ffffff",
    "--fettle-sunken": "#f7f8f9",
    "--fettle-line": "#e2e6e9",
    "--fettle-line-strong": "#c3cbd1",
    "--fettle-text": "#1c2329",
    "--fettle-text-soft": "#55606a",
    "--fettle-accent": "#0b6e69",
    "--fettle-accent-soft": "#e4f3f2",
    "--fettle-critical": "#b3142b", "--fettle-critical-soft": "#fdebed",
    "--fettle-high": "#a8430a", "--fettle-high-soft": "#fdefe4",
    "--fettle-medium": "#7d5a00", "--fettle-medium-soft": "#fbf3d6",
    "--fettle-low": "#1d5fa8", "--fettle-low-soft": "#e7f0fa",
    "--fettle-info": "#55606a", "--fettle-info-soft": "#eef0f2",
    "--fettle-good": "#1b6e3c", "--fettle-good-soft": "#e5f4ea",
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#1c2329",
    "--mantine-color-dimmed": "#55606a",
    "--mantine-color-placeholder": "#66727d",
    "--mantine-color-error": "#b3142b",
    "--mantine-color-default-border": "#c3cbd1",
  },
  dark: {
    "--fettle-page": "#0f1519",
    "--fettle-surface": "#161d23",
    "--fettle-sunken": "#12191e",
    "--fettle-line": "#27313a",
    "--fettle-line-strong": "#3d4953",
    "--fettle-text": "#dbe1e6",
    "--fettle-text-soft": "#98a4ae",
    "--fettle-accent": "#5cbcb6",
    "--fettle-accent-soft": "#12302f",
    "--fettle-critical": "#ff8793", "--fettle-critical-soft": "#3a1a20",
    "--fettle-high": "#f9a066", "--fettle-high-soft": "#372113",
    "--fettle-medium": "#e3c04f", "--fettle-medium-soft": "#302912",
    "--fettle-low": "#85b9f2", "--fettle-low-soft": "#17283b",
    "--fettle-info": "#a3aeb8", "--fettle-info-soft": "#212a31",
    "--fettle-good": "#73cb94", "--fettle-good-soft": "#142c1e",
    "--mantine-color-body": "#161d23",
    "--mantine-color-text": "#dbe1e6",
    "--mantine-color-dimmed": "#98a4ae",
    "--mantine-color-placeholder": "#8793a0",
    "--mantine-color-error": "#ff8793",
    "--mantine-color-default": "#1b232a",
    "--mantine-color-default-hover": "#212b33",
    "--mantine-color-default-border": "#3d4953",
  },
});

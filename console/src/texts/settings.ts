// Settings.

export const settingsTexts = {
  settings: {
    title: "Settings",
    choose: "Part of the settings",
    groups: { you: "You", people: "People", access: "Access", organisation: "Organisation" },
    appearance: "Appearance",
  },

  appearance: {
    colours: "Colours",
    scheme: { auto: "As the system", light: "Light", dark: "Dark" },
    density: "Rows",
    densityHelp: "How much room the rows of lists and tables take.",
    densityName: { comfortable: "Roomy", compact: "Narrow" },
    zone: "Time zone",
    zoneHelp: "Every time in the console is shown in it. Exports and the API stay in UTC.",
    zoneOfBrowser: (name: string) => `As this browser (${name})`,
    now: (time: string) => `It is ${time} there now.`,
    keptHere: "These choices are kept in this browser alone.",
  },

  keys: {
    make: "Make a key",
    none: "There are no API keys",
    noneText: "A key lets a program report exceptions or read incidents of this tenant. Give it only the scopes that it needs.",
    name: "Name",
    nameHelp: "What will use it, such as “alertmanager”.",
    prefix: "Key",
    scopes: "Scopes",
    scopesHelp: "You can give only what you have.",
    used: "Last used",
    neverUsed: "never",
    expires: "Expires",
    never: "never",
    lifetime: (days: string) => (days === "" ? "Never" : `In ${days} days`),
    made: (name: string) => `Key “${name}”`,
    once: "This is the only time that the key is shown",
    onceText: "Copy it to where it will be used. It cannot be shown again; if it is lost, make another and revoke this one.",
    tryIt: "Try it:",
    kept: "I have kept it",
    revoke: "Revoke",
    revokeName: (name: string) => `Revoke “${name}”`,
    revokeText: "Whatever uses this key is refused at once. This cannot be undone.",
    revoked: (name: string) => `Key “${name}” is revoked`,
  },
};

// Settings.

export const settingsTexts = {
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

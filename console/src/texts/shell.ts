// The frame around every screen: header, menu, tenants, keyboard, live state.

export const shellTexts = {
  home: {
    noTenant: "There is no tenant yet",
    demo: "The quickest way to see Fettle work: in a second terminal, watch this machine as a host of a demo tenant. It appears here by itself.",
    orCreate: "Or create a tenant of your own:",
    askAdmin: "Otherwise ask whoever runs Fettle to make you a member of a tenant.",
    tenantName: "Name of the tenant",
    create: "Create the tenant",
  },

  shell: {
    home: "Fettle, home",
    skip: "Skip to the content",
    menu: "Menu",
    pages: "Pages",
    tenants: "Tenants",
    noTenant: "Choose a tenant",
    findTenant: "Find a tenant",
    moreTenants: "More tenants",
    noTenantFound: "No tenant of yours is called so.",
    recentTenants: "Opened last",
    changeZone: "Choose another time zone",
    currentTenant: "this one",
    switchTenant: (name: string) => `Tenant: ${name}. Switch`,
    noSuchTenant: (slug: string) => `There is no tenant “${slug}” for you`,
    noSuchTenantText: "The link may be for somebody else. Choose another tenant at the top.",
    person: "You",
    signOut: "Sign out",
    help: "Keyboard shortcuts",
    timesIn: "Times are in",
    scheme: { light: "Use light colours", dark: "Use dark colours" },
  },

  nav: {
    overview: "Overview",
    incidents: "Incidents",
    approvals: "Approvals",
    rules: "Rules",
    evidence: "Evidence",
    keys: "API keys",
    audit: "Audit",
    events: "Events",
    health: "Health",
    settings: "Settings",
    groups: { work: "Work", automation: "Automation", proof: "Proof", settings: "Settings" },
    waiting: (n: number) => `${n} waiting`,
  },

  palette: {
    open: "Go to a screen, an incident, a tenant, or do something",
    short: "Go to…",
    chord: (apple: boolean) => (apple ? "⌘ K" : "Ctrl K"),
    placeholder: "A screen, an incident's number or words, a tenant, something to do",
    none: "Nothing is called so. Try other words, or an incident's number.",
    screens: "Screens",
    actions: "Do",
    scheme: { light: "Use light colours", dark: "Use dark colours", auto: "Use the colours of the system" },
    density: { comfortable: "Use roomy rows", compact: "Use narrow rows" },
    copyLink: "Copy the link to this page",
  },

  live: {
    name: { connecting: "Connecting", connected: "Live", reconnecting: "Reconnecting", offline: "Offline" },
    banner: { offline: "This browser is offline.", reconnecting: "The live stream is broken and is being opened again." },
    behindSince: (clock: string) => `What you see is how it was at ${clock}. It catches up by itself.`,
    explain: {
      connecting: "The live stream is being opened.",
      connected: "What you see changes as it happens.",
      reconnecting: "The live stream broke. It is being opened again and goes on where it stopped; until then this page may be behind.",
      offline: "This browser has no network. What you see is how it was; it catches up when the network is back.",
    },
  },

  keyboard: {
    title: "Keyboard shortcuts",
    groups: [
      {
        name: "Everywhere",
        keys: [
          ["?", "This help"], ["Ctrl k", "Go to anything, do anything"],
        ],
      },
      { name: "List of incidents", keys: [["j", "Next incident"], ["k", "Previous incident"], ["Enter", "Open it"], ["/", "Search"]] },
      { name: "Incident", keys: [["u", "Back to where you were"]] },
    ] as { name: string; keys: [string, string][] }[],
  },
};

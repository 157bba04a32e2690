// What several screens say: problems, severity, state, level.
import { plural } from "./words";
import { count } from "../lib/format";

export const commonTexts = {
  pageTitle: (page: string) => `${page} · Fettle`,

  common: {
    loading: "Loading",
    copy: "Copy",
    copied: "Copied",
    close: "Close",
    cancel: "Cancel",
    save: "Save",
    saved: "Saved",
    actions: "Actions",
    typeToConfirm: (word: string) => `Type ${word} to go on`,
    more: "Load more",
    nothing: "nothing",
    mayNot: "Your role does not let you see this.",
    showJson: (label: string, chars: number) => `Show ${label.toLowerCase()} (${count(chars)} characters)`,
  },

  problem: {
    unexpected: "The console failed here",
    unreachableTitle: "Fettle cannot be reached",
    unreachable: "The request did not get through. The platform may be stopped, or the network is down.",
    newVersion: "This screen could not be fetched",
    newVersionText: "Fettle may have been updated since this page was opened, or the network is down. Loading the page again mends both.",
    reload: "Load the page again",
    retry: "Try again",
    requestId: "Request",
    copyRequestId: "Copy the request id",
    titleOf: (status: number) => `The platform answered ${status}`,
    waitSeconds: (seconds: number) => `Wait ${plural(seconds, "second", "seconds")}, then try again.`,
    adviceOf: (status: number): string => {
      if (status === 0) return "Check that Fettle is running (fettle doctor says what is wrong), then try again.";
      if (status === 401) return "Check what you typed. If you were signed in, sign in again.";
      if (status === 403) return "Ask an administrator of this tenant for the permission.";
      if (status === 404) return "It may have been removed, or it belongs to another tenant: check the tenant at the top.";
      if (status === 409) return "Somebody or something was faster. Look at the present state, then decide again.";
      if (status === 422 || status === 400) return "Correct what is named and try again.";
      if (status === 413) return "Send less at once.";
      if (status === 503) return "A part of the platform is not ready. Wait a moment and try again.";
      return "Try again. If it stays, give the request id to whoever runs Fettle.";
    },
  },

  plot: { time: "Time" },

  notFound: {
    title: "There is no such page",
    text: "The address may be mistyped, or the page has moved.",
    home: "Go to the overview",
  },

  severity: { critical: "Critical", high: "High", medium: "Medium", low: "Low", info: "Info" },

  state: {
    open: "Open",
    triaged: "Triaged",
    planning: "Planning",
    awaiting_approval: "Awaiting approval",
    healing: "Healing",
    verifying: "Verifying",
    escalated: "Needs a person",
    suppressed: "Suppressed",
    resolved: "Resolved",
    closed: "Closed",
  },

  level: { L1: "L1, by rule", L2: "L2, by planner", L3: "L3, by a person", none: "not decided yet" },
};

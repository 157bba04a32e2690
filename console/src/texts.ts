// Every text of the console, gathered from a file for each area; another language is another set of files of this shape.
import { approvalsTexts } from "./texts/approvals";
import { commonTexts } from "./texts/common";
import { evidenceTexts } from "./texts/evidence";
import { incidentsTexts } from "./texts/incidents";
import { overviewTexts } from "./texts/overview";
import { rulesTexts } from "./texts/rules";
import { settingsTexts } from "./texts/settings";
import { shellTexts } from "./texts/shell";
import { signInTexts } from "./texts/signIn";
import { storyTexts } from "./texts/story";

export const t = {
  ...approvalsTexts,
  ...commonTexts,
  ...evidenceTexts,
  ...incidentsTexts,
  ...overviewTexts,
  ...rulesTexts,
  ...settingsTexts,
  ...shellTexts,
  ...signInTexts,
  ...storyTexts,
};

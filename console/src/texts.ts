// Every text of the console, gathered from a file for each area; another language is another set of files of this shape.
import { approvalsTexts } from "./texts/approvals";
import { authoringTexts } from "./texts/authoring";
import { brakesTexts } from "./texts/brakes";
import { commonTexts } from "./texts/common";
import { escalationTexts } from "./texts/escalation";
import { evidenceTexts } from "./texts/evidence";
import { flywheelTexts } from "./texts/flywheel";
import { incidentsTexts } from "./texts/incidents";
import { incidentWorkTexts } from "./texts/incidentWork";
import { mutingTexts } from "./texts/muting";
import { overviewTexts } from "./texts/overview";
import { plannerTexts } from "./texts/planner";
import { platformTexts } from "./texts/platform";
import { rulesTexts } from "./texts/rules";
import { settingsTexts } from "./texts/settings";
import { shellTexts } from "./texts/shell";
import { signInTexts } from "./texts/signIn";
import { sourcesTexts } from "./texts/sources";
import { storyTexts } from "./texts/story";
import { temporalTexts } from "./texts/temporal";

export const t = {
  ...approvalsTexts,
  ...authoringTexts,
  ...brakesTexts,
  ...commonTexts,
  ...escalationTexts,
  ...evidenceTexts,
  ...flywheelTexts,
  ...incidentsTexts,
  ...incidentWorkTexts,
  ...mutingTexts,
  ...overviewTexts,
  ...plannerTexts,
  ...platformTexts,
  ...rulesTexts,
  ...settingsTexts,
  ...shellTexts,
  ...signInTexts,
  ...sourcesTexts,
  ...storyTexts,
  ...temporalTexts,
};

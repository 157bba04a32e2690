// Where a grown rule stands, in a word and a colour.
import type { Stage } from "../../api/types";
import { t } from "../../texts";
import { Tag } from "../../ui/marks";

const TONES = { proposed: "waiting", shadow: "moving", canary: "moving", full: "good", retired: "quiet", dismissed: "quiet", adopted: "person" } as const;

export function StageMark({ stage }: { stage: Stage }) {
  return <Tag tone={TONES[stage]}>{t.flywheel.stages[stage]}</Tag>;
}

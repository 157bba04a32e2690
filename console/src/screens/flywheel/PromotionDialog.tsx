// One grown rule: what speaks for it and against it, how it did, and what a person may do with it.
import { Button, Group, Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { flywheelKey, movePromotion, promotionQuery, type Move, type PromotionDetail } from "../../api/flywheel";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { FieldChanges } from "../../ui/Diff";
import { Ago, Facts, Fold, JsonView, Lines, Notice, Trouble } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { tellWithUndo } from "../../ui/undo";
import { StageMark } from "./StageMark";

export function PromotionDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(promotionQuery(tenant.id, id));
  return (
    <Modal opened onClose={onClose} size="xl" title={data?.rule_id ?? t.flywheel.rule} closeButtonProps={{ "aria-label": t.common.close }}>
      {data === undefined && (error === null ? <Lines rows={8} /> : <Trouble error={error} onRetry={() => void refetch()} />)}
      {data !== undefined && <Detail promotion={data} />}
    </Modal>
  );
}

function Detail({ promotion }: { promotion: PromotionDetail }) {
  const mayWrite = useMay("rules:write");
  const { back_test: test, shadow } = promotion;
  return (
    <>
      <Facts
        items={[
          [t.flywheel.stage, <StageMark key="stage" stage={promotion.state} />],
          [t.flywheel.since, <Ago key="since" at={promotion.stage_at} />],
          [t.flywheel.pattern, <code key="pattern">{promotion.pattern}</code>],
          [t.flywheel.evidence, t.flywheel.grewFrom(promotion.successes)],
          [t.flywheel.acted, t.flywheel.ofTried(promotion.healed, promotion.healed + promotion.failed)],
        ]}
      />
      {promotion.objection !== null && <Notice title={t.flywheel.objection}>{promotion.objection}</Notice>}
      {promotion.ended_reason !== null && <p>{t.flywheel.ended_by(promotion.ended_by ?? "", promotion.ended_reason)}</p>}
      {shadow.seen > 0 && <p>{t.flywheel.shadow(shadow.right, shadow.wrong, shadow.other, shadow.seen)}</p>}
      <h3>{t.flywheel.backTest}</h3>
      <p>{t.flywheel.backTestText(test.days, test.considered, test.matched, test.won)}</p>
      {test.ended !== undefined && <Facts items={Object.entries(test.ended).map(([name, n]) => [t.flywheel.ended[name] ?? name, n])} />}
      <h3>{t.flywheel.beside}</h3>
      {promotion.beside.length === 0 ? <p>{t.flywheel.noneBeside}</p> : <ul>{promotion.beside.map((one) => <li key={one.rule_id}><code>{one.rule_id}</code> ({one.priority}, {one.source})</li>)}</ul>}
      <Fold title={t.flywheel.document}><JsonView value={promotion.rule} label={t.flywheel.document} /></Fold>
      {promotion.changes.length > 0 && <Fold title={t.flywheel.changes}><FieldChanges changes={promotion.changes} /></Fold>}
      {mayWrite && <Moves promotion={promotion} />}
    </>
  );
}

const LIVE = ["proposed", "shadow", "canary", "full"];

function Moves({ promotion }: { promotion: PromotionDetail }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [asked, setAsked] = useState<Move | null>(null);
  const move = useMutation({
    mutationFn: async ({ how, reason }: { how: Move; reason: string }) => {
      const answer = await movePromotion(tenant.id, promotion, how, reason);
      await client.invalidateQueries({ queryKey: flywheelKey(tenant.id) });
      return { how, reason, answer };
    },
    onSuccess: ({ how, reason, answer }) => {
      setAsked(null);
      if (how !== "retire") return;
      tellWithUndo(t.flywheel.moved(promotion.rule_id, t.flywheel.stages[answer.state]), async () => {
        await movePromotion(tenant.id, { id: promotion.id, version: answer.version }, "restore", reason);
        await client.invalidateQueries({ queryKey: flywheelKey(tenant.id) });
      });
    },
  });
  const onward = t.flywheel.promote[promotion.state];
  const ending = promotion.state === "proposed" ? t.flywheel.dismiss : t.flywheel.retire;
  const says: Record<Move, [string, string]> = {
    promote: [onward ?? "", t.flywheel.promoteText[promotion.state] ?? ""],
    retire: [ending, t.flywheel.retireText],
    restore: [t.flywheel.restore, t.flywheel.restoreText],
  };
  const [title, consequence] = says[asked ?? "promote"];
  return (
    <Group justify="flex-end" gap="xs" mt="md">
      {(promotion.state === "retired" || promotion.state === "dismissed") && <Button size="xs" variant="default" onClick={() => setAsked("restore")}>{t.flywheel.restore}</Button>}
      {LIVE.includes(promotion.state) && <Button size="xs" variant="default" onClick={() => setAsked("retire")}>{ending}</Button>}
      {onward !== undefined && <Button size="xs" disabled={promotion.objection !== null} onClick={() => setAsked("promote")}>{onward}</Button>}
      <ReasonDialog
        opened={asked !== null} title={title} consequence={consequence} confirm={title} pending={move.isPending} error={move.error}
        onClose={() => { setAsked(null); move.reset(); }} onConfirm={(reason) => asked !== null && move.mutate({ how: asked, reason })}
      />
    </Group>
  );
}

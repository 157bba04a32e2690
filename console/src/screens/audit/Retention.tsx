// How long records of the audit are kept, as the tenant's policy says, and the way to change it.
import { Button, Group, Modal, NumberInput, Radio, Stack } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Policy } from "../../api/authoring";
import { policyQuery } from "../../api/authoringQueries";
import { request } from "../../api/client";
import type { Accepted } from "../../api/types";
import { asObject } from "../../lib/story";
import { useMay, useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { Trouble } from "../../ui/parts";
import { tellWithUndo } from "../../ui/undo";
import classes from "./Audit.module.css";
import { keeping } from "./keeping";

const SHORTEST_DAYS = 30;
const LONGEST_DAYS = 36_500;
const USUAL_DAYS = 400;

export function Retention() {
  const tenant = useTenant();
  const mayRead = useMay("packs:read");
  const mayWrite = useMay("packs:write");
  const { data: policy } = useQuery({ ...policyQuery(tenant.id), enabled: mayRead });
  const [changing, setChanging] = useState(false);
  if (policy === undefined) return null;
  const days = keptDays(policy);
  return (
    <p className={classes["kept"]}>
      {days === null ? t.audit.keptForGood : t.audit.keptDays(days)}{" "}
      {mayWrite && <Button size="compact-xs" variant="default" onClick={() => setChanging(true)} data-print>{t.audit.changeKept}</Button>}
      {changing && <Change policy={policy} days={days} onClose={() => setChanging(false)} />}
    </p>
  );
}

function Change({ policy, days, onClose }: { policy: Policy; days: number | null; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [limited, setLimited] = useState(days !== null);
  const [typed, setTyped] = useState<number | string>(days ?? USUAL_DAYS);
  const ready = !limited || (typeof typed === "number" && typed >= SHORTEST_DAYS && typed <= LONGEST_DAYS);
  const renew = () => client.invalidateQueries({ queryKey: [tenant.id, "policy"] });
  const restore = async (expected: number) => {
    await request("policy/restore", { method: "POST", tenantId: tenant.id, body: { to: policy.version, expected_version: expected } });
    await renew();
  };
  const save = useMutation({
    mutationFn: () =>
      request<Accepted>("policy", { method: "PUT", tenantId: tenant.id, body: { policy: keeping(policy.policy, limited ? Number(typed) : null), expected_version: policy.version } }),
    onSuccess: async (answer) => {
      tellWithUndo(t.audit.keptChanged, () => restore(Number(answer.id)));
      await renew();
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={t.audit.changeKeptTitle} closeButtonProps={{ "aria-label": t.common.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) save.mutate();
        }}
      >
        <Stack gap="sm">
          <Radio.Group label={t.audit.keptLabel} value={limited ? "days" : "good"} onChange={(value) => setLimited(value === "days")}>
            <Stack gap="xs" mt="xs">
              <Radio value="good" label={t.audit.forGood} />
              <Radio value="days" label={t.audit.forDays} />
            </Stack>
          </Radio.Group>
          {limited && (
            <NumberInput
              label={t.audit.days} description={t.audit.daysHelp} value={typed} onChange={setTyped} min={SHORTEST_DAYS} max={LONGEST_DAYS} clampBehavior="none" allowDecimal={false} required
              error={ready ? undefined : t.audit.daysBounds}
            />
          )}
          <p style={{ margin: 0 }}>{limited ? t.audit.keptConsequence : t.audit.keptForGoodConsequence}</p>
          {save.error !== null && <Trouble error={save.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={save.isPending} disabled={!ready}>{t.common.save}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function keptDays(policy: Policy): number | null {
  const days = asObject(policy.policy["retention"])?.["audit_days"];
  return typeof days === "number" ? days : null;
}

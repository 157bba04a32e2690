// Addresses that calendar programs ask: made, shown once, revoked.
import { Button, Checkbox, Group, Modal, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { escalationKey, feedsQuery, type Feed, type NewFeed } from "../../api/escalation";
import { useTenant } from "../../lib/tenant";
import { t } from "../../texts";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { FormDialog } from "../../ui/FormDialog";
import { IconPlus } from "../../ui/icons";
import { Listing, unseen } from "../../ui/Listing";
import { Ago, Command, Empty, Notice } from "../../ui/parts";
import classes from "./OnCall.module.css";

export function Feeds() {
  const tenant = useTenant();
  const list = useInfiniteQuery(feedsQuery(tenant.id));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Feed | null>(null);
  return (
    <>
      <p className={classes["soft"]}>{t.onCall.feedsText}</p>
      <Listing
        list={list} title={t.onCall.feeds} columns={[t.onCall.feedName, t.onCall.feedOf, t.onCall.feedShows, t.onCall.feedUsed, unseen(t.common.actions)]}
        aside={<Button size="compact-sm" variant="default" leftSection={<IconPlus width="0.85rem" />} onClick={() => setMaking(true)}>{t.onCall.addFeed}</Button>}
        empty={<Empty title={t.onCall.noFeeds}><p>{t.onCall.feedsText}</p></Empty>}
        row={(feed) => (
          <>
            <td data-label={t.onCall.feedName}>{feed.name}</td>
            <td data-label={t.onCall.feedOf}>{feed.mine ? t.work.you : (feed.person.name ?? t.onCall.gone)}</td>
            <td data-label={t.onCall.feedShows}>{feed.whole ? t.onCall.feedAll : t.onCall.feedMine}</td>
            <td data-label={t.onCall.feedUsed}>{feed.last_used_at === null ? t.onCall.feedNever : <Ago at={feed.last_used_at} />}</td>
            <td data-figures><Button size="compact-xs" variant="default" onClick={() => setRevoking(feed)} aria-label={t.onCall.revokeNamed(feed.name)}>{t.onCall.revoke}</Button></td>
          </>
        )}
      />
      {making && <MakeFeed onClose={() => setMaking(false)} />}
      {revoking !== null && <RevokeFeed feed={revoking} onClose={() => setRevoking(null)} />}
    </>
  );
}

function MakeFeed({ onClose }: { onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [whole, setWhole] = useState(false);
  const make = useMutation({
    mutationFn: () => request<NewFeed>("escalation/feeds", { method: "POST", tenantId: tenant.id, body: { name: name.trim(), whole } }),
    onSuccess: () => client.invalidateQueries({ queryKey: [...escalationKey(tenant.id), "feeds"] }),
  });
  if (make.data !== undefined) {
    return (
      <Modal opened onClose={onClose} title={t.onCall.addFeed} size="lg" closeOnClickOutside={false} closeOnEscape={false} withCloseButton={false}>
        <Stack gap="sm">
          <Notice title={t.onCall.feedMade}>{t.onCall.feedMadeText}</Notice>
          <Command>{`${window.location.origin}${make.data.link}`}</Command>
          <Group justify="flex-end"><Button onClick={onClose} data-autofocus>{t.onCall.feedKept}</Button></Group>
        </Stack>
      </Modal>
    );
  }
  return (
    <FormDialog
      title={t.onCall.addFeed} confirm={t.onCall.addFeed} disabled={name.trim() === ""}
      pending={make.isPending} error={make.error} onClose={onClose} onSubmit={() => make.mutate()}
    >
      <TextInput label={t.onCall.feedName} description={t.onCall.feedNameHelp} required maxLength={120} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <Checkbox label={t.onCall.feedWhole} checked={whole} onChange={(event) => setWhole(event.currentTarget.checked)} />
    </FormDialog>
  );
}

function RevokeFeed({ feed, onClose }: { feed: Feed; onClose: () => void }) {
  const tenant = useTenant();
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => request<undefined>(`escalation/feeds/${feed.id}`, { method: "DELETE", tenantId: tenant.id }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [...escalationKey(tenant.id), "feeds"] });
      notifications.show({ message: t.onCall.revoked(feed.name) });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t.onCall.revokeNamed(feed.name)} consequence={t.onCall.revokeText} confirm={t.onCall.revoke} pending={revoke.isPending} error={revoke.error}
      onClose={onClose} onConfirm={() => revoke.mutate()}
    />
  );
}

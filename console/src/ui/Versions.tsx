// The versions of something that people write, newest first, each with who, when and what it changed, and a way back.
import { Button } from "@mantine/core";
import type { UseInfiniteQueryResult, InfiniteData } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Page } from "../api/types";
import { t } from "../texts";
import { Tag } from "./marks";
import { Ago, Empty, Fold, Lines, Trouble } from "./parts";
import classes from "./authoring.module.css";

export interface Version {
  version: number;
  changed_by: string;
  changed_at: string;
}

interface VersionsProps<Item extends Version> {
  query: UseInfiniteQueryResult<InfiniteData<Page<Item>>>;
  present: number | null;
  isDeletion?: (item: Item) => boolean;
  show: (item: Item) => ReactNode;
  onRestore: ((item: Item) => void) | null;
  pending: boolean;
}

export function Versions<Item extends Version>({ query, present, isDeletion = () => false, show, onRestore, pending }: VersionsProps<Item>) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = query;
  if (error !== null && data === undefined) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (data === undefined) return <Lines rows={4} />;
  const items = data.pages.flatMap((page) => page.items);
  if (items.length === 0) return <Empty title={t.versions.none}><p>{t.versions.noneText}</p></Empty>;
  return (
    <>
      {items.map((item) => (
        <div key={item.version} className={classes["entry"]}>
          <div className={classes["entryHead"]}>
            <span>
              <b>{t.versions.version(item.version)}</b> <Ago at={item.changed_at} /> <span className={classes["soft"]}>{t.versions.by(item.changed_by)}</span>{" "}
              {item.version === present && <Tag tone="good">{t.versions.present}</Tag>}
              {isDeletion(item) && <Tag tone="person">{t.versions.deleted}</Tag>}
            </span>
            {onRestore !== null && item.version !== present && !isDeletion(item) && (
              <Button size="compact-xs" variant="default" loading={pending} aria-label={t.versions.restoreName(item.version)} onClick={() => onRestore(item)}>
                {t.versions.restore}
              </Button>
            )}
          </div>
          <Fold title={t.versions.what}>{show(item)}</Fold>
        </div>
      ))}
      {hasNextPage && <Button size="xs" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>{t.common.more}</Button>}
    </>
  );
}

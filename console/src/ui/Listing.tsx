// A list that comes page by page: what stands there while it loads, when it fails, when it is empty, and the way to more.
import { Button } from "@mantine/core";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Page } from "../api/types";
import { t } from "../texts";
import { Lines, Panel, Trouble } from "./parts";
import tables from "./table.module.css";

interface ListingProps<Item> {
  list: UseInfiniteQueryResult<InfiniteData<Page<Item>>>;
  title?: ReactNode;
  aside?: ReactNode;
  /** Stands in the place of an empty list. */
  empty: ReactNode;
  columns: readonly string[];
  /** The cells of one row, as table cells. */
  row: (item: Item) => ReactNode;
}

export function Listing<Item extends { id: string }>({ list, title, aside, empty, columns, row }: ListingProps<Item>) {
  const items = list.data?.pages.flatMap((page) => page.items);
  if (items === undefined) {
    return list.error === null ? <Panel {...heading(title, aside)}><Lines rows={5} /></Panel> : <Trouble error={list.error} onRetry={() => void list.refetch()} />;
  }
  if (items.length === 0) return <Panel {...heading(title, aside)}>{empty}</Panel>;
  return (
    <>
      <Panel flush {...heading(title, aside)}>
        <table className={tables["table"]}>
          <thead>
            <tr>{columns.map((column) => <th key={column}>{column.startsWith(HIDDEN) ? <span className="visually-hidden">{column.slice(1)}</span> : column}</th>)}</tr>
          </thead>
          <tbody>{items.map((item) => <tr key={item.id}>{row(item)}</tr>)}</tbody>
        </table>
      </Panel>
      {list.hasNextPage && (
        <div><Button size="xs" variant="default" onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>{t.common.more}</Button></div>
      )}
    </>
  );
}

const HIDDEN = "-";

/** The name of a column whose head is only read out, as that of a row's buttons. */
export function unseen(name: string): string {
  return `${HIDDEN}${name}`;
}

function heading(title: ReactNode, aside: ReactNode): { title?: ReactNode; aside?: ReactNode } {
  return { ...(title === undefined ? {} : { title }), ...(aside === undefined ? {} : { aside }) };
}

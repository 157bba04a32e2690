// The frame of every page before one is in: the mark, one card, a line below it.
import { Stack } from "@mantine/core";
import type { FormEvent, ReactNode } from "react";
import { Logo } from "../../shell/Logo";
import { t } from "../../texts";
import classes from "./Door.module.css";

interface DoorProps {
  title: string;
  lead?: ReactNode;
  foot?: ReactNode;
  /** None where there is nothing to send. */
  onSubmit?: () => void;
  children: ReactNode;
}

export function Door({ title, lead, foot, onSubmit, children }: DoorProps) {
  const content = (
    <>
      <h1>{title}</h1>
      {lead !== undefined && <p className={classes["lead"]}>{lead}</p>}
      <Stack gap="md">{children}</Stack>
    </>
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <main className={classes["door"]}>
      <title>{t.pageTitle(title)}</title>
      <div className={classes["narrow"]}>
        <div className={classes["brand"]}><Logo /></div>
        {onSubmit === undefined ? <div className={classes["card"]}>{content}</div> : <form className={classes["card"]} onSubmit={submit}>{content}</form>}
        {foot !== undefined && <div className={classes["foot"]}>{foot}</div>}
      </div>
    </main>
  );
}

// A draft as a form or as YAML, whichever one likes, with what was refused and the way to save it.
import { Button, Group, SegmentedControl } from "@mantine/core";
import type { ReactNode } from "react";
import type { JsonObject } from "../api/types";
import { useAddressText } from "../lib/search";
import type { Saving } from "../lib/useAuthored";
import type { Draft } from "../lib/useDraft";
import { t } from "../texts";
import classes from "./authoring.module.css";
import { Tag } from "./marks";
import { Trouble } from "./parts";

interface DraftEditorProps {
  draft: Draft;
  save: Saving<JsonObject>;
  /** Whether it differs from what is stored. */
  changed: boolean;
  /** Whether nothing is stored yet. */
  fresh: boolean;
  mayWrite: boolean;
  form: (document: JsonObject) => ReactNode;
  yaml: ReactNode;
  onDiscard: () => void;
}

export function DraftEditor({ draft, save, changed, fresh, mayWrite, form, yaml, onDiscard }: DraftEditorProps) {
  const [mode, setMode] = useAddressText("as", "form");
  const { document } = draft;
  return (
    <>
      <div className={classes["bar"]}>
        <SegmentedControl
          size="xs" aria-label={t.editor.view} value={mode} onChange={setMode}
          data={[{ value: "form", label: t.editor.form }, { value: "yaml", label: t.editor.yaml }]}
        />
        {changed && <Tag tone="waiting">{t.editor.unsaved}</Tag>}
      </div>
      {mode === "yaml" ? yaml : document === null ? <p role="alert" className={classes["problems"]}>{t.editor.brokenYaml}</p> : form(document)}
      {save.error !== null && <Trouble error={save.error} />}
      {mayWrite && (
        <Group mt="md" gap="xs">
          <Button loading={save.isPending} disabled={!draft.usable || (!fresh && !changed)} onClick={() => document !== null && save.mutate(document)}>
            {fresh ? t.editor.create : t.editor.save}
          </Button>
          {changed && <Button variant="default" onClick={onDiscard}>{t.editor.discard}</Button>}
        </Group>
      )}
    </>
  );
}

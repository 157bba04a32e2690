// Fields that the forms of on call share.
import { NumberInput, Select } from "@mantine/core";
import { t } from "../../texts";

export function SeveritySelect({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return <Select label={label} allowDeselect={false} value={value} onChange={(next) => onChange(next ?? value)} data={Object.entries(t.severity).map(([one, name]) => ({ value: one, label: name }))} />;
}

export function Seconds({ label, description, value, least = 0, onChange }: { label: string; description?: string; value: number; least?: number; onChange: (value: number) => void }) {
  return <NumberInput label={label} {...(description === undefined ? {} : { description })} required min={least} max={86_400} allowDecimal={false} value={value} onChange={(next) => onChange(Number(next) || least)} />;
}

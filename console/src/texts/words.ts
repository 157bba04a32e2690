// What the texts of every area are put together from.
import { count } from "../lib/format";

export const plural = (n: number, one: string, many: string): string => `${count(n)} ${n === 1 ? one : many}`;

/** A value out of an event's data where it is text, else nothing. */
export const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** A value with what leads to it, or nothing where there is no value. */
export const after = (lead: string, value: unknown): string => (text(value) === "" ? "" : `${lead}${text(value)}`);

// What a screen keeps in its address: plain texts under a few names, always in the same order, replaced as one types.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";

const LONGEST = 200;

type Texts<Name extends string> = Partial<Record<Name, string>>;

/** Reads the named texts of an address; anything else there is dropped. */
export function textsOf<Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): Texts<Name> => {
    const found: Texts<Name> = {};
    for (const name of names) {
      const value = search[name];
      const text = Array.isArray(value) ? value[0] : value;
      if (typeof text === "string" && text !== "") found[name] = text.slice(0, LONGEST);
    }
    return found;
  };
}

/** One text of the address and what changes it; without a value the address goes without it. */
export function useAddressText(name: string, otherwise = ""): [string, (value: string) => void] {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const navigate = useNavigate();
  const value = search[name];
  const change = useCallback(
    (next: string) => {
      void navigate({
        to: ".",
        search: ((before: Record<string, unknown>) => ({ ...before, [name]: next === "" || next === otherwise ? undefined : next })) as never,
        replace: true,
      });
    },
    [navigate, name, otherwise],
  );
  return [typeof value === "string" ? value : otherwise, change];
}

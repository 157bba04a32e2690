// The addresses of the pages that need no sign-in, and where to go on afterwards.

export const DOORS = { forgotPassword: "/forgot-password", resetPassword: "/reset-password", invitation: "/invitation" } as const;

/** The path on which one wanted to be: of this origin alone, and no page before the sign-in. */
export function returnAddress(location: Pick<Location, "pathname" | "search"> = window.location): string {
  const isDoor = Object.values<string>(DOORS).includes(location.pathname);
  // Two slashes in front would be another host's name.
  if (isDoor || !/^\/(?![/\\])/.test(location.pathname)) return "/";
  const query = new URLSearchParams(location.search);
  query.delete("sign_in_error");
  return query.size === 0 ? location.pathname : `${location.pathname}?${query.toString()}`;
}

let taken = "";

/** The token that a link of a mail carries; it leaves the address at once, so that nothing keeps it. */
export function takeToken(): string {
  const fragment = window.location.hash.slice(1);
  const found = new URLSearchParams(window.location.search).get("token") ?? new URLSearchParams(fragment).get("token") ?? fragment;
  if (found !== "") {
    // A page may be made twice before it is shown, and asks again.
    taken = found;
    window.history.replaceState(null, "", window.location.pathname);
  }
  return taken;
}

/** What somebody may do. */
interface Held {
  includes(names: Iterable<string>): boolean;
}

/** Nobody gives away, or takes from others, what they do not have: so no chain of calls raises anybody's own rights. */
export function mayGrant(callersPermissions: Held, granted: Iterable<string>): boolean {
  return callersPermissions.includes(granted);
}

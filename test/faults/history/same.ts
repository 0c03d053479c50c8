/** Whether two values read from JSON say the same; the order of the members of an object says nothing, and a member that is undefined is not there. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, n) => same(item, b[n]));
  let members = 0;
  const other = new Map(Object.entries(b));
  for (const [key, value] of Object.entries(a)) {
    if (value === undefined) continue;
    members += 1;
    if (!same(value, other.get(key))) return false;
  }
  for (const value of other.values()) if (value !== undefined) members -= 1;
  return members === 0;
}

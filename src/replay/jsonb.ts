/** A value as a jsonb column gives it back: the keys of each object by length, then by bytes. What names things in the order of their keys names them in this one. */
export function asJsonb<T>(value: T): T;
export function asJsonb(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((inner: unknown) => asJsonb(inner));
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [key, asJsonb(inner)]);
  return Object.fromEntries(entries.length < 2 ? entries : entries.sort(([a], [b]) => byLength(a, b)));
}

const byLength = (a: string, b: string): number => Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Another value of a column's type, in SQL. */
export function otherThan(column: string, type: string): string {
  switch (type) {
    case "text":
      return `coalesce(${column}, '') || 'x'`;
    case "smallint":
    case "integer":
    case "bigint":
      // far enough that nobody has it
      return `coalesce(${column}, 0) + 1000`;
    case "boolean":
      return `not coalesce(${column}, false)`;
    case "date":
      return `case when ${column} = date '2000-01-01' then current_date else ${column} + 1 end`;
    case "timestamp with time zone":
      return `coalesce(${column}, now()) + interval '1 microsecond'`;
    case "bytea":
      return `case when length(${column}) > 0 then set_byte(${column}, 0, get_byte(${column}, 0) # 1) else '\\x01' end`;
    case "jsonb":
      return `case jsonb_typeof(${column}) when 'object' then ${column} || '{"other":1}' when 'array' then ${column} || '[1]' else '{}' end`;
    case "text[]":
      return `array_append(${column}, 'x')`;
    case "uuid":
      return "gen_random_uuid()";
    default:
      throw new Error(`${column} is of type ${type}: say here what another value of it is`);
  }
}

/** Columns to be changed at once, so many at most, each in a table of its own. */
export function inTablesOfTheirOwn<C extends { readonly table: string }>(columns: readonly C[], most: number): readonly (readonly C[])[] {
  const rounds = new Map<number, C[]>();
  const times = new Map<string, number>();
  for (const one of columns) {
    const time = (times.get(one.table) ?? 0) + 1;
    times.set(one.table, time);
    rounds.set(time, [...(rounds.get(time) ?? []), one]);
  }
  return [...rounds.values()].flatMap((round) => Array.from({ length: Math.ceil(round.length / most) }, (_, n) => round.slice(n * most, (n + 1) * most)));
}

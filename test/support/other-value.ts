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

/** What no answer may say: statements, tables, files, stacks, names of libraries. */
export const INSIDE =
  /\b(select|insert into|update|delete from)\s.*\b(from|into|set|where)\b|violates|syntax error|relation "|column "|SQLSTATE|duplicate key|ECONN|node_modules|\.(ts|js|sql):\d+|\bat \S+ \(|\/(src|dist|tmp|home|root)\/|kysely|postgres|TypeError|ReferenceError|undefined is not/i;

import { stdSerializers } from "pino";

// What may be said of a value in the log: everything but secrets, at whatever depth they stand, and whether by name or in the middle of a text.

export const CENSOR = "[secret]";

/** Names under which secrets are kept, without case and punctuation: `db.apiKey`, `X-Api-Key` and `API_KEY` are one. */
const SECRET_NAME = /pass(?:word|wd|phrase|code)|pwd$|^pin$|secret|token|credential|cookie|authorization|apikey|accesskey|privatekey|pepper|bearer/;

const namesSecret = (name: string): boolean => SECRET_NAME.test(name.toLowerCase().replaceAll(/[^a-z]/g, ""));

/** What the database quotes of rows: it is the plant's and not the log's. */
const QUOTED: ReadonlySet<string> = new Set(["detail", "where", "internalQuery"]);
/** Told in an error's own words, or a client's whole settings. */
const TOLD_ALREADY: ReadonlySet<string> = new Set(["cause", "errors", "config"]);

/** Deeper than anything that is logged on purpose. */
const DEEPEST = 16;

/** Secrets that stand in the middle of a text: passwords in addresses and connection strings, what proves who somebody is, private keys. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"]{0,256}):[^\s/"]*@/gi, `$1:${CENSOR}@`)
    .replace(
      /\b(password|passwd|passphrase|pwd|secret|client_secret|access_token|refresh_token|id_token|token|api_?key)(\s?[=:]\s?)(?!\[secret\])[^\s&;,"\\]+/gi,
      `$1$2${CENSOR}`,
    )
    .replace(/\bsb[ks]_[A-Za-z0-9_-]{20,}/g, CENSOR)
    .replace(/\b(Bearer|Basic) [A-Za-z0-9._~+/-]{16,}=*/gi, `$1 ${CENSOR}`)
    .replace(/-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^"]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|(?="|$))/g, CENSOR);
}

/** A copy of a value that may be logged. Never throws, whatever the value is. */
export function redacted(value: unknown): unknown {
  return shown(value, []);
}

function shown(value: unknown, above: readonly object[]): unknown {
  if (typeof value === "string") return withoutSecrets(value);
  if (typeof value !== "object" || value === null) return value;
  if (above.includes(value)) return "[circular]";
  if (above.length >= DEEPEST) return "[deeper]";
  const within = [...above, value];
  if (value instanceof Error) return named(errorFields(value), within);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => shown(item, within));
  if (value instanceof Set) return [...value].map((item) => shown(item, within));
  if (value instanceof Map)
    return named(
      [...value].map(([name, item]) => [String(name), item] as const),
      within,
    );
  if ("toJSON" in value && typeof value.toJSON === "function") return shown(plain(value), within);
  return named(Object.entries(value), within);
}

const named = (fields: readonly (readonly [string, unknown])[], within: readonly object[]): unknown =>
  Object.fromEntries(fields.map(([name, item]) => [name, item !== null && item !== undefined && namesSecret(name) ? CENSOR : shown(item, within)]));

function errorFields(error: Error): readonly (readonly [string, unknown])[] {
  // with what caused it, in the order of the causes
  const { type, message, stack } = stdSerializers.err(error);
  const own = Object.entries(error).filter(([name]) => !QUOTED.has(name) && !TOLD_ALREADY.has(name));
  const inner: unknown = "errors" in error ? error.errors : undefined;
  return Object.entries({ type, message, stack, ...Object.fromEntries(own), ...(Array.isArray(inner) ? { aggregateErrors: inner } : {}) });
}

function plain(value: object): unknown {
  try {
    return Reflect.get(value, "toJSON").call(value);
  } catch {
    return "[not shown]";
  }
}

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { isProtected } from "./loopback.ts";

/** One setting as people read about it; the table in docs/operations.md is generated from these. */
export interface Setting {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
  readonly secret: boolean;
}

const setting = (name: string, byDefault: string, meaning: string, secret = false): Setting => ({ name, default: byDefault, meaning, secret });

/**
 * What a branch may bring. A device that was away brings thousands of kept events at full speed, and a gateway five events a second of each of a hundred devices, for good; more than that no
 * plant says of what is done, and nothing is lost where one does, since what is left out may come again (docs/decisions/0017-quota.md).
 */
export const QUOTA = { perSecond: 500, burst: 10_000 } as const;

export const SETTINGS: readonly Setting[] = [
  setting("DATABASE_URL", "embedded", "Postgres, as the runtime role, which is neither owner nor superuser. Unset: an embedded Postgres below DATA_DIR.", true),
  setting(
    "DATABASE_OWNER_URL",
    "none",
    "Postgres, as the owner of the tables: migrations run with it at the start; restored and retention need it. Unset: the database must be at this version already.",
    true,
  ),
  setting("MQTT_URL", "embedded", "The broker, mqtt:// or mqtts://. Unset: an embedded broker, for trying out."),
  setting("MQTT_USERNAME", "none", "User at the broker."),
  setting("MQTT_PASSWORD", "none", "Password at the broker.", true),
  setting("MQTT_CA_FILE", "system", "File with the certificate authorities that the broker's certificate is checked against."),
  setting("MQTT_CERT_FILE", "none", "File with our client certificate; goes with MQTT_KEY_FILE."),
  setting("MQTT_KEY_FILE", "none", "File with our client key; goes with MQTT_CERT_FILE."),
  setting("MQTT_PROTOCOL", "auto", "auto, 5 or 3.1.1. auto falls back to 3.1.1 only when the broker does not speak 5."),
  setting(
    "MQTT_ACL_FILE",
    "none",
    "File that the broker takes its ACL from. It is read back every few seconds, and what differs from the registry of parties is reported as drift. Never written.",
  ),
  setting(
    "MQTT_STAMP_PROPERTY",
    "none",
    "MQTT 5 user property by which the broker, or a bridge before it, stamps the publisher's user name on what it hands on, such as $broker_username. Set it only where the broker does.",
  ),
  setting("MQTT_STAMP_REQUIRED", "no", "yes: an event without the stamp is not believed. Goes with MQTT_STAMP_PROPERTY."),
  setting("MQTT_PORT", "1883", "Port of the embedded broker; 0 picks a free one."),
  setting("TOPIC_PREFIX", "none", "Stands before every topic, such as plant/."),
  setting(
    "QUOTA_PER_SECOND",
    String(QUOTA.perSecond),
    "Deliveries a second that an equipment's branch may bring for good; what comes beyond QUOTA_BURST is left out, told of together, and may come again. A delivery counts once for every 4 KiB that it begins. 0: any number.",
  ),
  setting(
    "QUOTA_BURST",
    String(QUOTA.burst),
    "Deliveries that an equipment's branch may bring at once, such as what a device kept while it was away; at least QUOTA_PER_SECOND.",
  ),
  setting("SITES", "all registered", "The sites that this process serves, separated by commas."),
  setting("SHARD", "all", "Serves only this shard."),
  setting("HTTP_HOST", "127.0.0.1", "Address on which REST listens. On any but loopback everybody is asked who they are, from the beginning."),
  setting("HTTP_PORT", "8080", "Port on which REST listens; 0 picks a free one."),
  setting(
    "HTTP_RATE_LIMIT",
    "50",
    "Requests a second that one caller may make over REST, counted over ten seconds; 0: any number. Health and the stream of outcomes are not counted.",
  ),
  setting("HTTP_TLS_CERT_FILE", "none", "File with the certificate for HTTPS; goes with HTTP_TLS_KEY_FILE."),
  setting("HTTP_TLS_KEY_FILE", "none", "File with the key for HTTPS; goes with HTTP_TLS_CERT_FILE."),
  setting("DATA_DIR", ".signalbox", "Where the embedded servers keep their data. One living owner at a time."),
  setting(
    "AUDIT_DIR",
    "DATA_DIR/audit with the embedded Postgres, otherwise none",
    "Where the audit log's signer keeps its keys and its state; nobody who can write to the database may write there. Unset: this process signs nothing. Goes with AUDIT_MIRROR_DIR.",
  ),
  setting(
    "AUDIT_MIRROR_DIR",
    "DATA_DIR/audit-mirror with the embedded Postgres, otherwise none",
    "Where every signed checkpoint is kept a second time: another disk, best one that only takes more.",
  ),
  setting("AUDIT_ADOPT", "no", "yes: go on with a log whose signer has lost its state and its mirror. Whoever sets it vouches for what is there."),
  setting(
    "OIDC_ISSUER",
    "none",
    "The identity provider through which people log in and sign, exactly as it calls itself; https://, or http:// on loopback. Its clock and this host's must agree to the second. Goes with OIDC_CLIENT_ID and OIDC_REDIRECT_URI.",
  ),
  setting("OIDC_CLIENT_ID", "none", "The name by which the identity provider knows this service."),
  setting("OIDC_CLIENT_SECRET", "none", "The secret that goes with OIDC_CLIENT_ID. Unset: a public client, which PKCE alone protects.", true),
  setting("OIDC_REDIRECT_URI", "none", "Where the identity provider sends people back to, as it is registered there; https://, or http:// on loopback."),
  setting(
    "OIDC_ACR_VALUES",
    "none",
    "How a signer must authenticate: the identity provider's names for it (acr), separated by spaces. A signature is refused whose ID token bears none of them.",
  ),
  setting("PUBLISH_VERDICTS", "all", "all, or refusals: leaves out accepted and duplicate, but never a round that follows a published one."),
  setting("SIGNALBOX_TOKEN", "none", "For commands that ask a running service: an API key, or the token of somebody who has signed in.", true),
  setting(
    "ACCESS_SECRET",
    "DATA_DIR/access.secret, made once",
    "Under which API keys and sessions are hashed. The same for every replica; whoever changes it ends all of them.",
    true,
  ),
  setting(
    "ALLOW_UNAUTHENTICATED_NETWORK",
    "no",
    "yes: also on the network nobody is asked who they are until there is an administrator. Only where the network itself is closed.",
  ),
  setting("LOG_LEVEL", "info", "fatal, error, warn, info, debug, trace or silent."),
  setting("OTEL_EXPORTER_OTLP_ENDPOINT", "none", "Where traces go (OTLP over HTTP). All OTEL_* variables are OpenTelemetry's own."),
];

export interface Config {
  readonly databaseUrl: string | null;
  readonly databaseOwnerUrl: string | null;
  readonly mqttUrl: string | null;
  readonly mqttUsername: string | null;
  readonly mqttPassword: string | null;
  readonly mqttCa: string | null;
  readonly mqttCert: string | null;
  readonly mqttKey: string | null;
  readonly mqttProtocol: "auto" | "5" | "3.1.1";
  readonly mqttAclFile: string | null;
  /** The broker's stamp of who sent a message; null: there is none. */
  readonly mqttStamp: { readonly property: string; readonly required: boolean } | null;
  readonly mqttPort: number;
  readonly topicPrefix: string;
  readonly sites: readonly string[] | null;
  readonly shard: string | null;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly allowUnauthenticatedNetwork: boolean;
  /** Under which API keys and sessions are hashed; null: one of our own. */
  readonly accessSecret: string | null;
  /** For commands that ask a running service. */
  readonly token: string | null;
  /** Requests a second and caller; 0: any number. */
  readonly httpRateLimit: number;
  readonly httpTls: { readonly cert: string; readonly key: string } | null;
  readonly dataDir: string;
  /** null: this process signs nothing. */
  readonly audit: { readonly directory: string; readonly mirror: string; readonly adopt: boolean } | null;
  /** null: people have no identity provider. */
  readonly oidc: {
    readonly issuer: string;
    readonly clientId: string;
    readonly clientSecret: string | null;
    readonly redirectUri: string;
    readonly acrValues: readonly string[];
  } | null;
  /** What each branch may bring; null: any number. */
  readonly quota: { readonly perSecond: number; readonly burst: number } | null;
  readonly publishVerdicts: "all" | "refusals";
  readonly logLevel: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
  readonly otel: { readonly exportSpans: boolean };
}

/** Everything that is wrong with the settings, at once, by variable name; values of secrets are never shown. */
export class ConfigInvalid extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The settings are not valid:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

const PLANT_ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;
const port = z
  .string()
  .regex(/^\d{1,5}$/, "is a port from 0 to 65535")
  .transform(Number)
  .refine((n) => n <= 65535, "is a port from 0 to 65535");
const whole = (from: number, to: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `is a whole number from ${from} to ${to}`)
    .transform(Number)
    .refine((n) => n >= from && n <= to, `is a whole number from ${from} to ${to}`);
const url = (...schemes: readonly string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && schemes.includes(new URL(text).protocol.slice(0, -1)),
      `is a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    );

/** An address to which people bring what proves who they are. */
const protectedUrl = z
  .string()
  .refine(isProtected, "is a URL that begins with https://, or with http:// on loopback")
  .refine((text) => {
    if (!URL.canParse(text)) return true;
    const { username, password, search, hash } = new URL(text);
    return !(username || password || search || hash);
  }, "is a URL without user, query and fragment");

const environment = z.object({
  DATABASE_URL: url("postgres", "postgresql").optional(),
  DATABASE_OWNER_URL: url("postgres", "postgresql").optional(),
  MQTT_URL: url("mqtt", "mqtts", "tcp", "ssl").optional(),
  MQTT_USERNAME: z.string().optional(),
  MQTT_PASSWORD: z.string().optional(),
  MQTT_CA_FILE: z.string().optional(),
  MQTT_CERT_FILE: z.string().optional(),
  MQTT_KEY_FILE: z.string().optional(),
  MQTT_PROTOCOL: z.enum(["auto", "5", "3.1.1"], "is auto, 5 or 3.1.1").default("auto"),
  MQTT_ACL_FILE: z.string().optional(),
  MQTT_STAMP_PROPERTY: z
    .string()
    .regex(/^[!-~]{1,128}$/, "is the name of a user property")
    .optional(),
  MQTT_STAMP_REQUIRED: z.enum(["yes", "no"], "is yes or no").default("no"),
  MQTT_PORT: port.default(1883),
  TOPIC_PREFIX: z
    .string()
    .regex(/^(?:[A-Za-z0-9_.:-]+\/)*$/, "is empty or ends with a slash, such as plant/")
    .default(""),
  QUOTA_PER_SECOND: whole(0, 100_000).default(QUOTA.perSecond),
  QUOTA_BURST: whole(1, 1_000_000).default(QUOTA.burst),
  SITES: z
    .string()
    .transform((text) => text.split(",").map((site) => site.trim()))
    .refine((sites) => sites.every((site) => PLANT_ID.test(site)), "is a list of plant ids, separated by commas")
    .optional(),
  SHARD: z.string().regex(PLANT_ID, "is a plant id").optional(),
  HTTP_HOST: z.string().default("127.0.0.1"),
  HTTP_PORT: port.default(8080),
  HTTP_RATE_LIMIT: z
    .string()
    .regex(/^\d{1,6}$/, "is a whole number up to 999999")
    .transform(Number)
    .default(50),
  HTTP_TLS_CERT_FILE: z.string().optional(),
  HTTP_TLS_KEY_FILE: z.string().optional(),
  DATA_DIR: z.string().default(".signalbox"),
  AUDIT_DIR: z.string().optional(),
  AUDIT_MIRROR_DIR: z.string().optional(),
  AUDIT_ADOPT: z.enum(["yes", "no"], "is yes or no").default("no"),
  OIDC_ISSUER: protectedUrl.optional(),
  OIDC_CLIENT_ID: z.string().optional(),
  OIDC_CLIENT_SECRET: z.string().optional(),
  OIDC_REDIRECT_URI: protectedUrl.optional(),
  OIDC_ACR_VALUES: z
    .string()
    .transform((text) => text.split(/\s+/).filter((value) => value !== ""))
    .default([]),
  PUBLISH_VERDICTS: z.enum(["all", "refusals"], "is all or refusals").default("all"),
  SIGNALBOX_TOKEN: z.string().optional(),
  ACCESS_SECRET: z.string().min(32, "has at least 32 characters").optional(),
  ALLOW_UNAUTHENTICATED_NETWORK: z.enum(["yes", "no"], "is yes or no").default("no"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], "is fatal, error, warn, info, debug, trace or silent").default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
});

/** Reads the settings out of an environment, completely, before anything connects. `NAME_FILE` gives a secret's value from a file. Throws ConfigInvalid. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const given: Record<string, string> = {};
  for (const { name, secret } of SETTINGS) {
    const value = env[name];
    if (value !== undefined && value !== "") given[name] = value;
    const file = secret ? env[`${name}_FILE`] : undefined;
    if (file === undefined || file === "") continue;
    if (given[name] !== undefined) problems.push(`${name} and ${name}_FILE are both set; set one.`);
    const read = readText(file);
    if (read === null) problems.push(`${name}_FILE names ${file}, which cannot be read.`);
    else given[name] = read.trim();
  }
  const parsed = environment.safeParse(given);
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => `${String(issue.path[0] ?? "")} ${issue.message}.`));
  const e = parsed.success ? parsed.data : null;
  const files: Record<string, string> = {};
  for (const name of ["MQTT_CA_FILE", "MQTT_CERT_FILE", "MQTT_KEY_FILE", "HTTP_TLS_CERT_FILE", "HTTP_TLS_KEY_FILE"]) {
    const file = given[name];
    if (file === undefined) continue;
    const read = readText(file);
    if (read === null) problems.push(`${name} names ${file}, which cannot be read.`);
    else files[name] = read;
  }
  for (const [one, other] of [
    ["MQTT_CERT_FILE", "MQTT_KEY_FILE"],
    ["HTTP_TLS_CERT_FILE", "HTTP_TLS_KEY_FILE"],
    ["AUDIT_DIR", "AUDIT_MIRROR_DIR"],
    ["OIDC_ISSUER", "OIDC_CLIENT_ID"],
    ["OIDC_ISSUER", "OIDC_REDIRECT_URI"],
  ] as const) {
    if ((given[one] === undefined) !== (given[other] === undefined)) problems.push(`${one} and ${other} go together.`);
  }
  if (given["MQTT_STAMP_REQUIRED"] === "yes" && given["MQTT_STAMP_PROPERTY"] === undefined)
    problems.push("MQTT_STAMP_REQUIRED is set and MQTT_STAMP_PROPERTY is not.");
  // user properties are MQTT 5; the embedded broker speaks 3.1.1
  if (given["MQTT_STAMP_PROPERTY"] !== undefined && (given["MQTT_PROTOCOL"] === "3.1.1" || given["MQTT_URL"] === undefined))
    problems.push("MQTT_STAMP_PROPERTY needs a broker that speaks MQTT 5: set MQTT_URL, and not MQTT_PROTOCOL=3.1.1.");
  if (e !== null && e.QUOTA_PER_SECOND > e.QUOTA_BURST) problems.push("QUOTA_BURST is at least QUOTA_PER_SECOND.");
  for (const name of ["OIDC_CLIENT_SECRET", "OIDC_ACR_VALUES"]) {
    if (given[name] !== undefined && given["OIDC_ISSUER"] === undefined) problems.push(`${name} is set and OIDC_ISSUER is not.`);
  }
  for (const name of ["DATABASE_URL", "DATABASE_OWNER_URL"]) {
    const address = given[name];
    if (address === undefined || !URL.canParse(address)) continue;
    for (const parameter of ["sslrootcert", "sslcert", "sslkey"]) {
      const file = new URL(address).searchParams.get(parameter);
      if (file !== null && readText(file) === null) problems.push(`${name} names ${file} by ${parameter}, which cannot be read.`);
    }
  }
  for (const name of ["DATA_DIR", "AUDIT_DIR", "AUDIT_MIRROR_DIR"]) {
    const folder = given[name];
    if (folder !== undefined && !mayBeFolder(folder)) problems.push(`${name} names ${folder}, which is no folder.`);
  }
  if (given["DATABASE_URL"] === undefined && given["DATABASE_OWNER_URL"] !== undefined)
    problems.push("DATABASE_OWNER_URL is set and DATABASE_URL is not; the embedded Postgres has its own owner.");
  if (problems.length > 0 || e === null) throw new ConfigInvalid(problems);
  const cert = files["HTTP_TLS_CERT_FILE"];
  const key = files["HTTP_TLS_KEY_FILE"];
  return {
    databaseUrl: e.DATABASE_URL ?? null,
    databaseOwnerUrl: e.DATABASE_OWNER_URL ?? null,
    mqttUrl: e.MQTT_URL ?? null,
    mqttUsername: e.MQTT_USERNAME ?? null,
    mqttPassword: e.MQTT_PASSWORD ?? null,
    mqttCa: files["MQTT_CA_FILE"] ?? null,
    mqttCert: files["MQTT_CERT_FILE"] ?? null,
    mqttKey: files["MQTT_KEY_FILE"] ?? null,
    mqttProtocol: e.MQTT_PROTOCOL,
    mqttAclFile: e.MQTT_ACL_FILE ?? null,
    mqttStamp: e.MQTT_STAMP_PROPERTY === undefined ? null : { property: e.MQTT_STAMP_PROPERTY, required: e.MQTT_STAMP_REQUIRED === "yes" },
    mqttPort: e.MQTT_PORT,
    topicPrefix: e.TOPIC_PREFIX,
    sites: e.SITES ?? null,
    shard: e.SHARD ?? null,
    httpHost: e.HTTP_HOST,
    httpPort: e.HTTP_PORT,
    allowUnauthenticatedNetwork: e.ALLOW_UNAUTHENTICATED_NETWORK === "yes",
    accessSecret: e.ACCESS_SECRET ?? null,
    token: e.SIGNALBOX_TOKEN ?? null,
    httpRateLimit: e.HTTP_RATE_LIMIT,
    httpTls: cert === undefined || key === undefined ? null : { cert, key },
    dataDir: e.DATA_DIR,
    audit: auditOf(e),
    oidc: oidcOf(e),
    quota: e.QUOTA_PER_SECOND === 0 ? null : { perSecond: e.QUOTA_PER_SECOND, burst: e.QUOTA_BURST },
    publishVerdicts: e.PUBLISH_VERDICTS,
    logLevel: e.LOG_LEVEL,
    otel: { exportSpans: e.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined },
  };
}

function auditOf(e: z.infer<typeof environment>): Config["audit"] {
  const adopt = e.AUDIT_ADOPT === "yes";
  if (e.AUDIT_DIR !== undefined && e.AUDIT_MIRROR_DIR !== undefined) return { directory: e.AUDIT_DIR, mirror: e.AUDIT_MIRROR_DIR, adopt };
  return e.DATABASE_URL === undefined ? { directory: join(e.DATA_DIR, "audit"), mirror: join(e.DATA_DIR, "audit-mirror"), adopt } : null;
}

function oidcOf(e: z.infer<typeof environment>): Config["oidc"] {
  if (e.OIDC_ISSUER === undefined || e.OIDC_CLIENT_ID === undefined || e.OIDC_REDIRECT_URI === undefined) return null;
  return {
    issuer: e.OIDC_ISSUER,
    clientId: e.OIDC_CLIENT_ID,
    clientSecret: e.OIDC_CLIENT_SECRET ?? null,
    redirectUri: e.OIDC_REDIRECT_URI,
    acrValues: e.OIDC_ACR_VALUES,
  };
}

/** Whether a path is a folder, or can become one. */
function mayBeFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    // something above it is a file
    return !(error instanceof Error && "code" in error && error.code === "ENOTDIR");
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

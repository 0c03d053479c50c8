// The two tables of the layout, held by a tool: rooms say when a line runs, suffixes say what it may touch (docs/decisions/0007-rooms-and-suffixes.md).
// What stands beside the rooms (main.ts, shard.ts, drive.ts, pipeline.ts and what they are made of) joins them, and no room imports it.

const flow = ["receive", "decode", "sequence", "authorise", "decide", "commit", "publish"];
const ground = ["registry", "access", "audit", "bundle", "review", "retention", "verify", "parties", "stations", "db", "ops"];
const after = ["replay"];
const entry = ["api", "pages", "cli", "embedded"];

const room = (names) => `^src/(${names.join("|")})/`;
const touching = "\\.(store|mqtt|http|file|fetch|process)\\.ts$";
const packages = (names) => `^node_modules/(@types/)?(${names.join("|")})/`;

/** What may be imported only by files whose name says so. */
const suffix = (name, to, allowed, comment) => ({ name, severity: "error", comment, from: { path: "^src/", pathNot: allowed }, to });

module.exports = {
  forbidden: [
    ...flow.slice(0, -1).map((name, i) => ({
      name: `room-${name}-before-later-rooms`,
      severity: "error",
      comment: "A flow room never imports a later one: what happens first knows nothing of what happens next.",
      from: { path: room([name]) },
      to: { path: room(flow.slice(i + 1)) },
    })),
    {
      name: "ground-rooms-know-no-flow",
      severity: "error",
      comment:
        "Ground rooms may be imported by any room and import no flow room. Types of values that pass through (a refusal code's meaning) are no exception.",
      from: { path: room(ground) },
      to: { path: room(flow) },
    },
    {
      name: "the-route-knows-no-replay",
      severity: "error",
      comment: "Replay goes the route again, long after it: it may know every room, and only entry points know it.",
      from: { path: room([...flow, ...ground]) },
      to: { path: room(after) },
    },
    {
      name: "entry-points-are-not-imported",
      severity: "error",
      comment: "Entry points may import everything; only main.ts and the command line start them.",
      from: { path: "^src/", pathNot: `${room(entry)}|^src/main\\.ts$` },
      to: { path: room(entry) },
    },
    ...entry
      .filter((name) => name !== "cli")
      .map((name) => ({
        name: `entry-${name}-stands-alone`,
        severity: "error",
        comment: "Entry points do not import each other; what two of them need belongs in a room.",
        from: { path: room([name]) },
        to: { path: room(entry.filter((other) => other !== name)) },
      })),
    {
      name: "joins-are-above-the-rooms",
      severity: "error",
      comment:
        "What stands beside the rooms in src joins them (main.ts, shard.ts, drive.ts, pipeline.ts and what they are made of); a room that imported it would turn the flow round. Entry points may, and ops may know the type of what drive counts.",
      from: { path: room([...flow, ...ground, ...after]) },
      to: { path: "^src/[^/]+\\.ts$", pathNot: "^src/version\\.ts$", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "main-is-started-by-the-command-line",
      severity: "error",
      comment: "Only the command line starts the service; tests start it like the command line does.",
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: { path: "^src/main\\.ts$" },
    },
    suffix(
      "suffix-store-postgres",
      { path: packages(["pg", "pg-types", "pg-pool", "kysely"]) },
      "^src/db/|\\.store\\.ts$",
      "Postgres is spoken in db/ and *.store.ts only.",
    ),
    suffix(
      "suffix-mqtt-broker",
      { path: packages(["mqtt", "mqtt-packet", "aedes"]) },
      "\\.mqtt\\.ts$|^src/embedded/",
      "The broker is spoken to in *.mqtt.ts only; embedded/ is a broker.",
    ),
    suffix(
      "suffix-http-fastify",
      { path: packages(["fastify", "@fastify", "fastify-type-provider-zod", "fastify-plugin"]) },
      "^src/(api|pages)/.*\\.http\\.ts$",
      "Fastify is used in api/*.http.ts and pages/*.http.ts only.",
    ),
    suffix(
      "suffix-file-files",
      { path: "^(node:)?fs(/promises)?$" },
      "\\.(file|process)\\.ts$|^src/cli/",
      "Files are read and written in *.file.ts; *.process.ts prepares the place of its child process; the command line reads what its arguments name.",
    ),
    suffix(
      "suffix-process-children",
      { path: "^(node:)?(child_process|cluster|worker_threads)$" },
      "\\.process\\.ts$",
      "Child processes are started in *.process.ts only.",
    ),
    suffix(
      "suffix-net-sockets",
      { path: "^(node:)?(net|tls|dgram)$" },
      "\\.(mqtt|http|fetch|process)\\.ts$|^src/(embedded|cli)/",
      "Sockets are opened only where a file's name says that it reaches outside.",
    ),
    suffix(
      "suffix-fetch-http",
      { path: "^(node:)?https?2?$|^(node:)?http2$|^node_modules/undici/" },
      "\\.(http|fetch)\\.ts$|^src/cli/",
      "Outgoing HTTP is in *.fetch.ts only.",
    ),
    suffix(
      "opentelemetry-in-ops",
      { path: "^node_modules/@opentelemetry/" },
      "^src/ops/",
      "Metrics and spans are recorded through ops; nothing else knows OpenTelemetry.",
    ),
    suffix("pino-in-ops", { path: packages(["pino"]) }, "^src/ops/", "The log is opened in ops; everything else is given one."),
    {
      name: "pure-files-touch-nothing",
      severity: "error",
      comment: "A file without a suffix takes values and gives values: it may know a touching file's types, never call it.",
      from: { path: room([...flow, ...ground, ...after]), pathNot: `${touching}|^src/(db|ops)/` },
      to: { path: `^src/.*${touching}`, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "pure-files-open-no-database",
      severity: "error",
      comment: "db/ opens the database; a pure file may know its types.",
      from: { path: room([...flow, ...after, "registry", "audit", "bundle", "retention", "verify", "parties"]), pathNot: touching },
      to: { path: "^src/db/", dependencyTypesNot: ["type-only"] },
    },
    { name: "no-cycles", severity: "error", comment: "What imports in a circle cannot be read from one end to the other.", from: {}, to: { circular: true } },
    {
      name: "no-development-tools-in-src",
      severity: "error",
      comment: "What runs in production is a dependency, not a development dependency.",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], pathNot: "^node_modules/@types/" },
    },
    { name: "resolved", severity: "error", comment: "An import that leads nowhere.", from: { path: "^src/" }, to: { couldNotResolve: true } },
    {
      name: "src-knows-no-test",
      severity: "error",
      comment: "Tests know the source, never the other way round.",
      from: { path: "^src/" },
      to: { path: "^(test|examples)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { RECEIVE_MAXIMUM } from "../../src/receive/window.ts";

// Promise: what is shipped to run in one command is reachable from its own machine only, and every setting of the broker says why it is there.
// The files are read as lines: what this understands is the plain form they are written in, and anything else fails.

const root = new URL("../../", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, root), "utf8");

interface Line {
  readonly depth: number;
  readonly text: string;
}

function linesOf(yaml: string): readonly Line[] {
  return yaml
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.trim().startsWith("#"))
    .map((line) => ({ depth: line.length - line.trimStart().length, text: line.trim() }));
}

/** The lines below the first line that reads `key` at this depth. */
function below(lines: readonly Line[], key: string, depth: number): readonly Line[] {
  const at = lines.findIndex((line) => line.depth === depth && line.text === `${key}:`);
  if (at < 0) return [];
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => line.depth <= depth);
  return end < 0 ? rest : rest.slice(0, end);
}

function servicesOf(yaml: string): ReadonlyMap<string, readonly Line[]> {
  const services = below(linesOf(yaml), "services", 0);
  return new Map(services.filter(({ depth }) => depth === 2).map(({ text }) => [text.replace(/:$/, ""), below(services, text.replace(/:$/, ""), 2)]));
}

/** What is reachable from outside although the broker trusts its network. */
function exposed(yaml: string): readonly string[] {
  return [...servicesOf(yaml)].flatMap(([name, lines]) => [
    ...below(lines, "ports", 4)
      .filter(({ text }) => !/^- "127\.0\.0\.1:\d+:\d+"$/.test(text))
      .map(({ text }) => `${name}: ${text}`),
    // Another way of writing a list of ports, or around them.
    ...lines.filter(({ text }) => /^(ports:\s*\S|network_mode:|extends:|<<:)/.test(text)).map(({ text }) => `${name}: ${text}`),
  ]);
}

/** Settings whose line is not directly below a comment. */
function unexplained(configuration: string): readonly string[] {
  const lines = configuration.split("\n");
  return lines.filter((line, index) => line.trim() !== "" && !line.startsWith("#") && !/^# .{20,}/.test(lines[index - 1] ?? ""));
}

describe("docker-compose.yml", () => {
  const compose = read("docker-compose.yml");
  const services = servicesOf(compose);

  test("publishes every port on loopback, since its broker asks nobody who they are", () => {
    expect([...services.keys()]).toEqual(["postgres", "mosquitto", "collector", "migrate", "signalbox"]);
    expect([...services.values()].flatMap((lines) => below(lines, "ports", 4)).length).toBeGreaterThanOrEqual(3);
    expect(exposed(compose)).toEqual([]);
  });

  test.each([["- 8080:8080"], ['- "8080:8080"'], ['- "0.0.0.0:8080:8080"'], ['- "[::]:8080:8080"'], ["- target: 8080"]])(
    "would fail this test with the port %s",
    (port) => {
      expect(exposed(compose.replace('- "127.0.0.1:8080:8080"', port))).toEqual([`signalbox: ${port}`]);
    },
  );

  test.each([["network_mode: host"], ['ports: ["8080:8080"]']])("would fail this test with %s", (line) => {
    expect(exposed(compose.replace("    read_only: true", `    ${line}`))).toEqual([`signalbox: ${line}`]);
  });

  test("starts the service after a database and a broker that serve, and after the migrations", () => {
    const waits = below(services.get("signalbox") ?? [], "depends_on", 4).map(({ text }) => text);
    expect(waits).toEqual([
      "postgres:",
      "condition: service_healthy",
      "mosquitto:",
      "condition: service_healthy",
      "migrate:",
      "condition: service_completed_successfully",
      "collector:",
      "condition: service_started",
    ]);
    for (const name of ["postgres", "mosquitto"]) expect(below(services.get(name) ?? [], "healthcheck", 4)).not.toEqual([]);
    expect(read("Dockerfile")).toMatch(/HEALTHCHECK [\s\S]*\/health\/live/);
  });

  test("keeps every secret in a file, and gives the service the runtime role alone", () => {
    expect(compose).not.toMatch(/postgres(ql)?:\/\/|^\s+\w*PASSWORD:/m);
    const environment = below(services.get("signalbox") ?? [], "environment", 4).map(({ text }) => text);
    expect(environment.filter((text) => text.startsWith("DATABASE"))).toEqual(["DATABASE_URL_FILE: /run/secrets/database_url"]);
    expect(compose).not.toContain("ALLOW_UNAUTHENTICATED_NETWORK");
    expect(environment).toContain("ACCESS_SECRET_FILE: /run/secrets/access_secret");
    expect(read("deploy/secrets/.gitignore")).toBe("*\n!.gitignore\n");
    const made = read("deploy/make-secrets.sh");
    for (const { text } of below(linesOf(compose), "secrets", 0).filter(({ depth }) => depth === 2)) expect(made).toContain(text.replace(/:$/, ""));
  });

  test("mounts files that are there", () => {
    const mounted = [...compose.matchAll(/^ {6}- (\.\/[^:]+):/gm)].map(([, file]) => file ?? "");
    expect(mounted.length).toBeGreaterThan(0);
    expect(mounted.filter((file) => !existsSync(fileURLToPath(new URL(file, root))))).toEqual([]);
  });

  test("says that the database must write through", () => {
    for (const setting of ["fsync=on", "full_page_writes=on", "synchronous_commit=on"])
      expect(below(services.get("postgres") ?? [], "command", 4).map(({ text }) => text)).toContain(`- ${setting}`);
  });
});

describe("mosquitto.conf", () => {
  const configuration = read("deploy/mosquitto/mosquitto.conf");

  test("gives a reason for every setting, in the line above it", () => {
    expect(configuration.split("\n").filter((line) => /^[a-z]/.test(line)).length).toBeGreaterThan(10);
    expect(unexplained(configuration)).toEqual([]);
    expect(unexplained("# A reason that is long enough.\nlistener 1883\npersistence true\n")).toEqual(["persistence true"]);
  });

  test("sets what mosquitto would otherwise lose messages by", () => {
    for (const name of [
      "max_queued_messages",
      "max_queued_bytes",
      "max_inflight_messages",
      "persistence",
      "autosave_interval",
      "autosave_on_changes",
      "persistent_client_expiration",
    ]) {
      expect(configuration).toMatch(new RegExp(`^${name} \\S`, "m"));
    }
  });

  test("sends as much at once as the service asks for", () => {
    expect(configuration).toMatch(new RegExp(`^max_inflight_messages ${RECEIVE_MAXIMUM}$`, "m"));
  });
});

import { spawnSync } from "node:child_process";
import { describe, test } from "vitest";

// Suites that need something which Node does not bring.

/** The first of these commands that can be started here. Debian puts some where the PATH of an ordinary user does not look. */
export function findCommand(name: string, starts: (command: string) => boolean = canStart): string | null {
  return [name, ...["/usr/bin", "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"].map((directory) => `${directory}/${name}`)].find(starts) ?? null;
}

// Some end a call for help with an error of their own; that it could be started at all is the answer.
export const canStart = (command: string): boolean => spawnSync(command, ["--help"], { stdio: "ignore" }).error === undefined;

/** An interpreter that has paho, which need not be the first one of the PATH. */
export const pythonWithPaho = (): string | null =>
  findCommand("python3", (command) => spawnSync(command, ["-c", "import paho.mqtt.client"], { stdio: "ignore" }).status === 0);

/** A suite with what it needs, by name. Where one is missing it is reported by name as not run; with `REQUIRE_MOSQUITTO=1` it fails. */
export function describeWith(needs: Readonly<Record<string, string | null>>, name: string, suite: () => void): void {
  const lacking = Object.keys(needs).filter((need) => needs[need] === null);
  const why = `no ${lacking.join(", no ")} is installed`;
  if (lacking.length > 0 && process.env["REQUIRE_MOSQUITTO"] === "1") {
    describe(name, () => {
      test("finds what it needs", () => {
        throw new Error(`REQUIRE_MOSQUITTO=1, and ${why}`);
      });
    });
    return;
  }
  describe.runIf(lacking.length === 0)(lacking.length === 0 ? name : `${name} (did not run: ${why})`, suite);
}

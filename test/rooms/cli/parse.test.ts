// What a person types becomes a command with its options, a wish for help, or one sentence on what is wrong.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Command } from "../../../src/cli/command.ts";
import { helpOf, helpOfAll } from "../../../src/cli/help.ts";
import { edits, nearest } from "../../../src/cli/nearest.ts";
import { parse } from "../../../src/cli/parse.ts";

const command = (name: string, positionals: readonly string[] = []): Command => ({
  name,
  summary: `Does ${name}.`,
  positionals,
  options: {
    url: { type: "string", value: "URL", default: "http://127.0.0.1:8080", help: "Where." },
    refused: { type: "boolean", help: "Only those." },
  },
  notes: [],
  examples: [`signalbox ${name}`],
  exits: { done: "Done.", found: "Found." },
  run: async () => 0,
});
const COMMANDS = [command("serve"), command("why", ["SOURCE", "ID"]), command("registry apply", ["DIR"]), command("tail")];
const typed = (text: string) => parse(text === "" ? [] : text.split(" "), COMMANDS, { DATA_DIR: "here" });

describe("what is typed", () => {
  test("runs a command of one word or two, with its arguments, options, defaults and the environment", () => {
    const parsed = typed("why /site/a i-1 --url http://x");
    expect(parsed).toMatchObject({ kind: "run", command: { name: "why" }, call: { positionals: ["/site/a", "i-1"], environment: { DATA_DIR: "here" } } });
    expect(parsed.kind === "run" && parsed.call.text("url")).toBe("http://x");
    const other = typed("registry apply plant --json");
    expect(other).toMatchObject({ kind: "run", command: { name: "registry apply" }, call: { positionals: ["plant"] } });
    expect(other.kind === "run" && [other.call.text("url"), other.call.flag("json"), other.call.flag("refused")]).toEqual([
      "http://127.0.0.1:8080",
      true,
      false,
    ]);
  });

  test.each([
    ["", null],
    ["--help", null],
    ["help", null],
    ["tail --help", "tail"],
    ["why -h", "why"],
    ["help registry apply", "registry apply"],
    ["registry --help", "registry apply"],
  ])("%j asks for help", (text, name) => {
    const parsed = typed(text);
    expect(parsed.kind).toBe("help");
    expect(parsed.kind === "help" && (parsed.command?.name ?? null)).toBe(name);
  });

  test.each([
    ["tial", 'There is no command "tial". Did you mean "tail"?'],
    ["registry aply plant", '"registry" goes with a second word: registry apply.'],
    ["regstry apply", 'There is no command "regstry". Did you mean "registry apply"?'],
    ["frobnicate", 'There is no command "frobnicate".'],
    ["why /site/a", "ID is missing."],
    ["why", "SOURCE and ID are missing."],
    ["tail more", '"more" is too much; tail takes no arguments.'],
    ["tail --refuse", "There is no option --refuse. Did you mean --refused?"],
    ["tail --nothing-like-it", "There is no option --nothing-like-it."],
  ])("%j is wrong, in one sentence", (text, message) => {
    expect(typed(text)).toMatchObject({ kind: "wrong", message });
  });

  test("whatever is typed is answered, and never by an exception", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom("why", "tail", "registry", "apply", "--url", "--json", "-h", "--", "--url=x", "-x"), fc.string())),
        (argv) => {
          expect(["run", "help", "version", "wrong"]).toContain(parse(argv, COMMANDS, {}).kind);
        },
      ),
    );
  });
});

describe("the nearest name", () => {
  test("is a name itself when it is typed right, and at most two slips away from it otherwise", () => {
    for (const { name } of COMMANDS) expect(nearest(name, ["serve", "why", "registry apply", "tail"])).toBe(name);
    expect(nearest("srve", ["serve", "tail"])).toBe("serve");
    expect(nearest("xyzzy", ["serve", "tail"])).toBeNull();
  });

  test("edits are as far one way as the other, and none only between equals", () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => edits(a, b) === edits(b, a) && (edits(a, b) === 0) === (a === b) && edits(a, b) <= Math.max(a.length, b.length)),
    );
  });
});

describe("the help", () => {
  test("of all names every command and the exit codes", () => {
    const help = helpOfAll(COMMANDS, "1.2.3");
    for (const { name, summary } of COMMANDS) expect(help).toContain(`${name.padEnd(14)}  ${summary}`);
    expect(help).toContain("0 done, 1 found something, 2 wrong usage");
  });

  test("of one shows usage, each option with its default, examples and exit codes", () => {
    const help = helpOf(command("why", ["SOURCE", "ID"]));
    expect(help).toContain("Usage: signalbox why SOURCE ID [options]");
    expect(help).toMatch(/--url URL +Where\. Default: http:\/\/127\.0\.0\.1:8080\./);
    for (const part of ["--refused", "--json", "-h, --help", "Examples:", "  0  Done.", "  1  Found.", "  2  Wrong usage."]) expect(help).toContain(part);
  });
});

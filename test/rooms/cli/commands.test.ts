// Each command is loaded by its name when it is wanted, and no other.
import { describe, expect, test } from "vitest";
import { COMMANDS, loadFor } from "../../../src/cli/commands.ts";

const loaded = async (text: string) => (await loadFor(text === "" ? [] : text.split(" "))).map(({ name }) => name);
const ALL = Object.keys(COMMANDS);

describe("for what is typed", () => {
  test.each(ALL)("%s is loaded alone, and bears its name", async (name) => {
    expect(await loaded(`${name} --help`)).toEqual([name]);
  });

  test.each(["", "--help", "help why", "tial", "retention", "retention lsit", "constructor"])(
    "%j names none: all are loaded, in the order of the help",
    async (text) => {
      expect(await loaded(text)).toEqual(ALL);
    },
  );

  test("the version needs none", async () => {
    expect(await loaded("--version")).toEqual([]);
  });
});

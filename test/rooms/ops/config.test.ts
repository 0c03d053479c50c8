// What the settings refuse before anything connects: an open port without a word, a limit that is none, a certificate that is not there.
import { describe, expect, test } from "vitest";
import { ConfigInvalid, loadConfig } from "../../../src/ops/config.file.ts";

const problems = (settings: Readonly<Record<string, string>>): readonly string[] => {
  try {
    loadConfig(settings);
    return [];
  } catch (error) {
    if (error instanceof ConfigInvalid) return error.problems;
    throw error;
  }
};

describe("the service", () => {
  test("listens on this machine alone unless somebody says otherwise, and lets nobody be nobody on the network", () => {
    expect(loadConfig({})).toMatchObject({ httpHost: "127.0.0.1", allowUnauthenticatedNetwork: false });
    expect(loadConfig({ HTTP_HOST: "0.0.0.0" })).toMatchObject({ httpHost: "0.0.0.0", allowUnauthenticatedNetwork: false });
    expect(loadConfig({ ALLOW_UNAUTHENTICATED_NETWORK: "yes" }).allowUnauthenticatedNetwork).toBe(true);
    expect(problems({ ACCESS_SECRET: "short" })).toEqual(["ACCESS_SECRET has at least 32 characters."]);
  });

  test("limits its callers unless somebody says otherwise", () => {
    expect(loadConfig({}).httpRateLimit).toBe(50);
    expect(loadConfig({ HTTP_RATE_LIMIT: "0" }).httpRateLimit).toBe(0);
    for (const limit of ["-1", "1.5", "many", "1e3", "9999999"])
      expect(problems({ HTTP_RATE_LIMIT: limit })).toEqual(["HTTP_RATE_LIMIT is a whole number up to 999999."]);
  });

  test("has a quota for each branch unless somebody says otherwise", () => {
    expect(loadConfig({}).quota).toEqual({ perSecond: 500, burst: 10_000 });
    expect(loadConfig({ QUOTA_PER_SECOND: "7", QUOTA_BURST: "7" }).quota).toEqual({ perSecond: 7, burst: 7 });
    expect(loadConfig({ QUOTA_PER_SECOND: "0" }).quota).toBeNull();
    expect(problems({ QUOTA_PER_SECOND: "8", QUOTA_BURST: "7" })).toEqual(["QUOTA_BURST is at least QUOTA_PER_SECOND."]);
    for (const wrong of ["-1", "1.5", "many", "1e3", "9999999999"])
      expect(problems({ QUOTA_PER_SECOND: wrong, QUOTA_BURST: wrong })).toEqual([
        "QUOTA_PER_SECOND is a whole number from 0 to 100000.",
        "QUOTA_BURST is a whole number from 1 to 1000000.",
      ]);
    expect(problems({ QUOTA_BURST: "0" })).toContain("QUOTA_BURST is a whole number from 1 to 1000000.");
  });

  test("says that a file which an address of the database names cannot be read, and not the address", () => {
    const told = problems({ DATABASE_URL: "postgres://signalbox_runtime:mark-secret@db/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem" });
    expect(told).toEqual(["DATABASE_URL names /nowhere/ca.pem by sslrootcert, which cannot be read."]);
  });
});

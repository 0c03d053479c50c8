import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RolledBack } from "../../../src/db/database.ts";
import { type FailureKind, failure } from "../../../src/db/failure.ts";

const sqlstate = (code: string) => Object.assign(new Error("refused by the server"), { code, severity: "ERROR" });
const network = (code: string, syscall: string) => Object.assign(new Error(`${syscall} ${code}`), { code, syscall });

describe("whose fault a failed database call is", () => {
  test.each<[string, FailureKind]>([
    ["23505", "moved"],
    ["23P01", "moved"],
    ["23503", "moved"],
    ["40001", "moved"],
    ["40P01", "moved"],
    ["55P03", "moved"],
    ["SB001", "moved"],
    ["SB002", "fenced"],
    ["22P02", "unstorable"],
    ["22021", "unstorable"],
    ["23502", "unstorable"],
    ["23514", "unstorable"],
    ["54000", "unstorable"],
    ["08006", "everyone"],
    ["53300", "everyone"],
    ["53100", "everyone"],
    ["57014", "everyone"],
    ["57P01", "everyone"],
    ["57P03", "everyone"],
    ["58030", "everyone"],
    ["25006", "everyone"],
    ["28P01", "everyone"],
    ["42P01", "deployment"],
    ["42501", "deployment"],
    ["3D000", "deployment"],
    ["3F000", "deployment"],
    ["0A000", "deployment"],
    ["SB003", "deployment"],
  ])("%s is %s", (code, kind) => {
    expect(failure(sqlstate(code))).toMatchObject({ kind, code, known: true });
  });

  test("a commit that the server turned into a rollback is judged again", () => {
    expect(failure(new RolledBack())).toMatchObject({ kind: "moved", ambiguous: false });
  });

  test("whatever nobody foresaw is everyone's fault, never the message's own", () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        expect(failure(thrown).kind).toBe("everyone");
      }),
    );
    expect(failure(sqlstate("XX000"))).toMatchObject({ kind: "everyone", known: false });
    expect(failure(new TypeError("x is not a function"))).toMatchObject({ kind: "everyone", known: false });
  });
});

describe("whether the reply may have been lost", () => {
  test.each([
    network("ECONNRESET", "read"),
    network("EPIPE", "write"),
    network("ETIMEDOUT", "read"),
    new Error("Connection terminated unexpectedly"),
    new Error("Connection terminated"),
    new Error("Query read timeout"),
    sqlstate("57P01"),
    sqlstate("08006"),
    sqlstate("40003"),
  ])("asks after: %s", (error) => {
    expect(failure(error)).toMatchObject({ ambiguous: true, known: true });
  });

  test.each([
    network("ECONNREFUSED", "connect"),
    network("ECONNRESET", "connect"),
    network("ETIMEDOUT", "connect"),
    network("ENOTFOUND", "getaddrinfo"),
    new Error("timeout exceeded when trying to connect"),
    new Error("Connection terminated due to connection timeout"),
    new Error("Client has encountered a connection error and is not queryable"),
    sqlstate("57014"),
    sqlstate("40001"),
    sqlstate("23505"),
  ])("does not ask after: %s", (error) => {
    expect(failure(error)).toMatchObject({ ambiguous: false, known: true });
  });

  test("takes a broken pipe for the network's, although its code has the shape of an SQLSTATE", () => {
    expect(failure(network("EPIPE", "write"))).toEqual({ kind: "everyone", ambiguous: true, code: "EPIPE", known: true });
  });
});

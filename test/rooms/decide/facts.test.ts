import { describe, expect, test } from "vitest";
import { changedBy, type Fact } from "../../../src/decide/facts.ts";

// Promise: whoever waits for what a fact changes is judged again; nobody is for what changes nothing that anybody waits for.

const disposed = (batch: string | null): Fact => ({
  kind: "exception.disposed",
  batch,
  step: null,
  attempt: null,
  exception: { position: 9, ordinal: 1, code: "PAR_OOS" },
  disposition: "continue",
  linked: "DEV-7",
  accepts: false,
});

describe("is told", () => {
  test("who waits for a batch, when an exception of it is disposed of; nobody, when it is about none", () => {
    expect(changedBy(disposed("B-1"))).toEqual(["batch:B-1"]);
    expect(changedBy(disposed(null))).toEqual([]);
  });
  test("nobody, when a disposition is signed or void: no event is waiting for that", () => {
    expect(changedBy({ kind: "disposition.signed", batch: "B-1", stage: "recommended", before: "pending_review" })).toEqual([]);
    expect(changedBy({ kind: "disposition.voided", batch: "B-1", stage: "recommended", from: "pending_review", to: "pending_review" })).toEqual([]);
  });
});

// Promise: every act that people sign is known by its address and body, with what it means, which record it is about, and where its version is read; and nothing else is.
// Attack: each act; other commands at the same addresses; addresses that are nearly theirs, that name nothing, or that no text has.
import { expect, test } from "vitest";
import { signedAct } from "../../../src/access/signed-acts.ts";

const BATCH = "/v1/sites/rtm1/batches/B-1/commands";
const EXCEPTION = "/v1/exceptions/rtm1.9.1/resolution";
const STEP = "/v1/sites/rtm1/batches/B-1/steps/weigh/commands";

test.each([
  [BATCH, { command: "stop" }, "stop batch B-1", "stopped", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [BATCH, { command: "abort" }, "abort batch B-1", "aborted", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [BATCH, { command: "recommend" }, "recommend for disposition batch B-1", "recommended by production", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [BATCH, { command: "release" }, "release batch B-1", "released by quality", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [BATCH, { command: "conditional" }, "release conditionally batch B-1", "released by quality, conditionally", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [BATCH, { command: "reject" }, "reject batch B-1", "rejected by quality", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [STEP, { command: "verify" }, "verify step weigh of batch B-1", "verified", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [STEP, { command: "skip" }, "skip step weigh of batch B-1", "skipping authorised", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [STEP, { command: "rework" }, "have done again step weigh of batch B-1", "rework authorised", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [BATCH, { command: "amend", revision: 4 }, "amend batch B-1 to revision 4 of its recipe", "amendment authorised", "batch B-1", "/v1/sites/rtm1/batches/B-1"],
  [EXCEPTION, { disposition: "continue" }, "let go on what opened exception rtm1.9.1", "exception disposed of: continue", "exception rtm1.9.1", null],
  [EXCEPTION, { disposition: "rework" }, "have done again the step of exception rtm1.9.1", "exception disposed of: rework", "exception rtm1.9.1", null],
  [EXCEPTION, { disposition: "abort" }, "abort the step of exception rtm1.9.1", "exception disposed of: abort", "exception rtm1.9.1", null],
  ["/v1/gaps/rtm1.17/resolution", { action: "skip" }, "give up what is missing in gap rtm1.17", "gap resolved", "gap rtm1.17", null],
  [
    "/v1/sources/rtm1/4/scale-1/succession",
    { reason: "replaced" },
    "let source scale-1 be followed by another",
    "succession authorised",
    "source scale-1",
    "/v1/sources/rtm1/4/scale-1",
  ],
  [
    "/v1/sources/rtm1/4/gate-1/probe/succession",
    {},
    "let source gate-1, device probe be followed by another",
    "succession authorised",
    "source gate-1, device probe",
    "/v1/sources/rtm1/4/gate-1/probe",
  ],
  ["/v1/quarantine/rtm1.1.9/resolution", { action: "reject" }, "reject event rtm1.1.9", "quarantine resolved", "event rtm1.1.9", null],
  ["/v1/audit/sites/rtm1/reviews/7/conclusion", { conclusion: "accepted" }, "conclude review 7: accepted", "reviewed", "review 7", null],
])("%s %o is signed", (path, body, does, meaning, record, tagged) => {
  expect(signedAct(path, body)).toMatchObject({ site: "rtm1", does, meaning, record, tagged });
});

test.each([
  ["/v1/registry/recipes/blend/revisions/4/approval", "recipe blend@4", "/v1/registry/recipes/blend/revisions/4"],
  ["/v1/registry/state-machines/batch.own/revisions/1/approval", "state machine batch/own@1", "/v1/registry/state-machines/batch.own/revisions/1"],
])("%s is signed for every site", (path, record, read) => {
  expect(signedAct(path, { hash: "00" })).toEqual({ site: null, meaning: "configuration approved", does: `approve ${record}`, record, read, tagged: null });
});

test("the take-over of a lock is signed at the site of its row: a lock's id does not tell where its site's name ends", () => {
  expect(signedAct("/v1/context-locks/a.b.scale.1.9/takeover", { reason: "seen" })).toEqual({
    site: null,
    lock: "a.b.scale.1.9",
    meaning: "take-over authorised",
    does: "take over",
    record: "lock a.b.scale.1.9",
    read: "/v1/context-locks?id=a.b.scale.1.9",
    tagged: null,
  });
});

test.each([
  [BATCH, { command: "start" }],
  [BATCH, { command: "__proto__" }],
  [BATCH, { command: "constructor" }],
  [BATCH, {}],
  [BATCH, null],
  [STEP, { command: "start" }],
  [`${BATCH}?x=/v1`, { command: "stop" }],
  [`${BATCH}/`, { command: "stop" }],
  ["/v1/sites/%zz/batches/B-1/commands", { command: "stop" }],
  ["/v1/sites/rtm1/batches/B-1/steps/../commands", { command: "skip" }],
  ["/v1/sites/rtm1/batches/%2e%2E/commands", { command: "stop" }],
  ["/v1/sites/rtm1/batches/B-1%2fsteps/commands", { command: "stop" }],
  ["/v1/sites//batches/B-1/commands", { command: "stop" }],
  ["/v1/gaps/17/resolution", { action: "skip" }],
  ["/v1/gaps/rtm1.17/resolution", { action: "forget" }],
  ["/v1/quarantine/rtm1.9/resolution", { action: "reject" }],
  ["/v1/exceptions/rtm1.9/resolution", { disposition: "continue" }],
  [EXCEPTION, { disposition: "forget" }],
  [EXCEPTION, {}],
  ["/v1/sites/rtm1/batches", { batch: "B-1" }],
  ["/v1/registry/recipes/blend/revisions/4", {}],
  ["/v1/registry/recipes/%2e%2e/revisions/4/approval", {}],
  ["/v1/registry/recipes/blend/revisions/four/approval", {}],
  ["/v1/registry/event-types/blend/revisions/4/approval", {}],
])("%s %o is not", (path, body) => {
  expect(signedAct(path, body)).toBeNull();
});

/**
 * Builds of the service, or of the database under it, that break one promise each, as others do it. Each replaces lines of one module as it is loaded, in the loader of the test:
 * nothing that is shipped can be switched to it. A variant whose lines are no longer there refuses to run.
 */
export interface Variant {
  readonly name: string;
  /** What it does instead, and who does so. */
  readonly does: string;
  readonly changes: readonly Change[];
}

export interface Change {
  /** The module, below the build's root. */
  readonly module: string;
  /** Lines as the compiler leaves them, each there exactly once, and what stands in their place. */
  readonly lines: readonly (readonly [are: string, become: string])[];
}

const ACKNOWLEDGE_ON_RECEIPT: Change = {
  module: "src/drive.js",
  lines: [
    [
      "this.#queue.push({ signal: null, delivery, held: null, slots: slot === null ? [] : [slot], bytes, answer: null });",
      "if (slot !== null) this.#options.stages.acknowledge([slot]);\n            this.#queue.push({ signal: null, delivery, held: null, slots: slot === null ? [] : [slot], bytes, answer: null });",
    ],
  ],
};
const OUTBOX_BY_LAST_ID: Change = {
  module: "src/publish/relay.js",
  lines: [["position = await store.readCursor();", "position = (await store.readPublishable(0, Number.MAX_SAFE_INTEGER, options.verdicts, 0)).through;"]],
};

export const VARIANTS: readonly Variant[] = [
  {
    name: "acknowledge_on_receipt",
    does: "acknowledges a delivery as it arrives, as MQTT libraries do by themselves",
    changes: [ACKNOWLEDGE_ON_RECEIPT],
  },
  {
    name: "no_version_check",
    does: "writes what it decided on a world that has moved on meanwhile",
    changes: [{ module: "src/replay/prove.js", lines: [["export function prove(record, p) {", "export function prove(record, p) {\n    return;"]] }],
  },
  {
    name: "outbox_by_last_id",
    does: "publishes what is newer than the last position that it sees when it starts",
    changes: [OUTBOX_BY_LAST_ID],
  },
  {
    name: "no_fencing",
    does: "lets whoever believes to be the owner commit, under whatever term",
    changes: [
      {
        module: "test/faults/simulation/database.js",
        lines: [
          ["if (this.#lease === null || term !== this.#term || this.#lease.owner !== process.name)", "if (this.#lease === null)"],
          ["            if (term !== this.#term) {", "            if (false) {"],
        ],
      },
    ],
  },
  {
    name: "no_identity_table",
    does: "keeps no identities, and takes every delivery for a new event",
    changes: [
      { module: "test/support/model.js", lines: [["data.ids.set(key, null);", "data.ids.set(key, null);\n        return;"]] },
      { module: "src/replay/prove.js", lines: [["export function proveUnique(record, p) {", "export function proveUnique(record, p) {\n    return;"]] },
      {
        module: "src/replay/write-sources.js",
        lines: [["for (const r of p.ids ?? [])\n        record.ids.add(", "for (const r of [])\n        record.ids.add("]],
      },
    ],
  },
  {
    name: "patience_ignored",
    does: "never ends the patience that an event waits with",
    changes: [
      {
        module: "src/drive.js",
        lines: [
          ["for (const tick of await stages.due(DUE_LIMIT))", 'for (const tick of (await stages.due(DUE_LIMIT)).filter((tick) => tick.tick !== "patience"))'],
        ],
      },
    ],
  },
  {
    name: "obvious_consumer",
    does: "acknowledges as the library does, commits each message in a transaction of its own, and publishes by last id",
    changes: [
      { module: "src/drive.js", lines: [...ACKNOWLEDGE_ON_RECEIPT.lines, ["const GROUP = { signals: 500,", "const GROUP = { signals: 1,"]] },
      OUTBOX_BY_LAST_ID,
    ],
  },
];

import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { leafHash } from "../../../src/audit/hash.ts";
import { readMirror } from "../../../src/audit/mirror.ts";
import { signOn } from "../../../src/audit/sign-on.ts";
import { signerFiles } from "../../../src/audit/signer-state.file.ts";
import { createSigner } from "../../../src/audit/signing.ts";
import { TiledTree } from "../../../src/audit/tiles.ts";
import { testKey } from "../../support/keys.ts";
import { type Left, memoryDisk, Power, PowerCut, powered } from "../../support/power.ts";
import type { Finding } from "../history/history.ts";
import type { SimDatabase } from "./database.ts";
import { SITE } from "./plan.ts";
import { SimProcess } from "./process.ts";
import type { VirtualTime } from "./virtual-time.ts";

const KEY = testKey(`signalbox/${SITE}`);
const LEFTS: readonly Left[] = ["nothing", "half", "all", "zeros"];

const nothing = (): void => {};

/** The site's signer: a process of its own, on a disk that outlasts it. */
export class SimSigner {
  readonly #time: VirtualTime;
  readonly #database: SimDatabase;
  readonly #onKilled: () => void;
  readonly #disk = memoryDisk();
  #power = new Power();

  constructor(time: VirtualTime, database: SimDatabase, onKilled: () => void) {
    this.#time = time;
    this.#database = database;
    this.#onKilled = onKilled;
  }

  /** C19: it dies within one of the four next things that it writes (leaves, mirror, state, database), which is then there in part, or whole, or not. */
  dieWriting(n: number): void {
    this.#power = new Power(n % 4, LEFTS[Math.floor(n / 4) % LEFTS.length]);
  }

  heal(): void {
    this.#power = new Power();
  }

  start(): void {
    const process = new SimProcess(this.#time, "signer");
    const die = (): void => {
      if (!process.alive) return;
      this.#onKilled();
      process.kill();
      this.#time.after(500 + this.#time.chance() * 2_000, () => {
        this.#power = new Power();
        this.start();
      });
    };
    const power: Pick<Power, "during"> = {
      during: (write) =>
        this.#power.during(write).catch((error: unknown) => {
          if (error instanceof PowerCut) die();
          throw error;
        }),
    };
    const { look, hand } = this.#database.signing(process);
    const signer = createSigner({
      files: signerFiles({ disk: powered(this.#disk, power), state: "/state", mirror: "/mirror" }),
      keys: [KEY],
      look,
      hand: (checkpoint, tiles) => power.during((left) => (left === "all" ? hand(checkpoint, tiles) : Promise.resolve())),
    });
    signOn(signer, process, { onSigned: nothing, onRefused: nothing, onTrouble: nothing });
  }

  /** What was signed, held against what is on record. */
  async findings(settled: boolean): Promise<Finding[]> {
    const { entries, checkpoints, log, signed, model } = this.#database;
    const tree = new TiledTree();
    const roots = new Map(
      entries.map((bytes) => {
        tree.append(leafHash(bytes));
        return [tree.size, tree.root()];
      }),
    );
    const found: Finding[] = [];
    const say = (what: string): void => void found.push({ invariant: "signed", what, at: null });
    const mirrored = new Set<number>();
    for (const note of readMirror((await this.#disk.read(`/mirror/log-${log.log}.notes`, 0, Number.MAX_SAFE_INTEGER)).toString()).notes) {
      const opened = openCheckpoint(Buffer.from(note), [KEY.verifier]);
      if (opened.kind === "refused") say(`the mirror holds a note that is refused: ${opened.because}`);
      else if (roots.get(opened.checkpoint.size)?.equals(opened.checkpoint.root) !== true)
        say(`the mirror's note of ${opened.checkpoint.size} entries has another root than they give`);
      else mirrored.add(opened.checkpoint.size);
    }
    for (const { size, root } of checkpoints) {
      if (!mirrored.has(size)) say(`the checkpoint of ${size} entries is not in the mirror`);
      if (roots.get(size)?.equals(root) !== true) say(`the checkpoint of ${size} entries has another root than they give`);
    }
    if (settled && signed !== model.position) say(`in the end everything up to position ${signed} is signed, of ${model.position}`);
    return found;
  }
}

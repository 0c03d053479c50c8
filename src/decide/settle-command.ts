// Settles a command: answered once, and the same request is given the same answer.
import type { Ref } from "../sequence/source-state.ts";
import { bringAbout } from "./bring-about.ts";
import type { CommandAnswer, CommandTools } from "./command-answer.ts";
import { judgeCommand } from "./commands.ts";
import type { Group } from "./group.ts";
import { countAnew, giveUpNumbers, rebase } from "./move-cursor.ts";
import { inWords } from "./poison.ts";
import { recordCommand } from "./record.ts";
import { dispose, reject, reprocess } from "./resolve-quarantine.ts";
import type { CommandSignal } from "./signal.ts";
import { drain } from "./turn.ts";

export function settleCommand(group: Group, signal: CommandSignal): void {
  const { key } = signal;
  const prior = key === null ? undefined : group.world.answer(key.key);
  if (key !== null && prior !== undefined) {
    const sameBody = prior.bodyDigest === key.bodyDigest && prior.request === key.request;
    group.answers.set(signal, { ref: prior.position, answer: { kind: "answered before", sameBody, answer: prior.answer } });
    return;
  }
  const ref = group.next();
  const judged = group.attempt(() => judgeCommand(signal, ref, toolsOf(group, ref)));
  // one command that makes the judge throw is refused by itself; the rest of the group goes on
  const answer: CommandAnswer = judged.ok
    ? judged.value
    : { kind: "refused", code: "SYS_POISON", reason: `The service failed on this command alone: ${inWords(judged.error)}.`, explanation: null };
  recordCommand(group, ref, signal);
  group.answers.set(signal, { ref, answer });
  if (key === null) return;
  group.rows.answers.push({ ...key, answer, ref });
  group.world.putAnswer(key.key, { request: key.request, bodyDigest: key.bodyDigest, answer, position: ref });
}

const toolsOf = (group: Group, ref: Ref): CommandTools => ({
  world: group.world,
  machines: group.machines,
  bringAbout: (facts) => bringAbout(group, facts, ref, { flags: [], event: null }),
  exception: (code, reason, batch, step, attempt) => group.openException(ref, { code, reason, batch, step, attempt }),
  putSource: (source) => group.putSource(source, ref),
  giveUp: (source, epoch, first, last) => giveUpNumbers(group, source, epoch, { first, last }, "resolved", ref),
  succeed: (source) => countAnew(group, source, ref),
  rebase: (source, epoch, sequence) => rebase(group, source, epoch, sequence, ref),
  drain: (source) => drain(group, source, ref, true),
  reprocess: (entry) => reprocess(group, entry, ref),
  dispose: (exception, disposition, linked) => dispose(group, exception, disposition, linked, ref),
  reject: (entry, reason) => reject(group, entry, reason, ref),
});

import { PASSWORD } from "./people.ts";
import type { Plant } from "./plant.ts";

type Answer = Awaited<ReturnType<Plant["ask"]>>;

/** How people sign. */
export interface Signing {
  /** Asks for a challenge. */
  ask(path: string, body: unknown, who: string): Promise<Answer>;
  /** Signs what somebody was asked to sign; where that was refused, it is what is answered. */
  answer(asked: Answer, who: string): Promise<Answer>;
  sign(path: string, body: unknown, who: string): Promise<Answer>;
}

/** `as`: how each of them says who they are. */
export function signing(plant: () => Pick<Plant, "ask">, as: Readonly<Record<string, Readonly<Record<string, string>>>>): Signing {
  const post = (path: string, body: unknown, who: string): Promise<Answer> => plant().ask("POST", path, body, as[who]);
  const ask: Signing["ask"] = (path, body, who) => post("/v1/signatures/challenges", { path, body, reason: "as decided" }, who);
  const answer: Signing["answer"] = async (asked, who) =>
    asked.status === 201 ? post("/v1/signatures", { challenge: Object(asked.body).challenge, password: PASSWORD }, who) : asked;
  return { ask, answer, sign: async (path, body, who) => answer(await ask(path, body, who), who) };
}

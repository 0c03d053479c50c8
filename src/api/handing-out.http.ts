import type { FastifyRequest } from "fastify";
import type { AsksAgain } from "./guard.http.ts";

/** So much goes out before it is asked again: what anybody gets who might not have it any more, beside what lies in buffers. */
const ASKED_EACH = 64 * 1024;

/** What is handed out to a caller, for as long as they may have it, however slowly they take it. Throws what they would be told if they asked now: the answer breaks off, and shows that it did. */
export async function* whileAllowed<T extends string | Buffer>(
  askAgain: AsksAgain,
  request: FastifyRequest,
  site: string,
  pieces: AsyncIterable<T>,
): AsyncGenerator<T> {
  let sent = 0;
  for await (const piece of pieces) {
    if (sent >= ASKED_EACH) {
      const refusal = await askAgain(request, site, "takes");
      if (refusal !== null) throw refusal;
      sent = 0;
    }
    yield piece;
    sent += Buffer.byteLength(piece);
  }
}

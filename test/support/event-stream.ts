import type { Said } from "./shapes.ts";

export interface Block {
  readonly id: string | null;
  readonly event: string;
  readonly data: Said;
}

/** A plain reader of server-sent events. */
export async function followEvents(url: string, headers: Readonly<Record<string, string>> = {}) {
  const abort = new AbortController();
  const response = await fetch(url, { signal: abort.signal, headers });
  const type = response.headers.get("content-type");
  if (response.status !== 200 || type !== "text/event-stream") throw new Error(`no stream, but ${response.status} ${type}: ${await response.text()}`);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) throw new Error("the stream has no body");
  let text = "";
  const blocks: Block[] = [];
  const more = async (): Promise<boolean> => {
    const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
    if (done || value === undefined) return false;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = new Map(
        text
          .slice(0, end)
          .split("\n")
          .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const),
      );
      text = text.slice(end + 2);
      const data = fields.get("data");
      if (data !== undefined) blocks.push({ id: fields.get("id") ?? null, event: fields.get("event") ?? "message", data: JSON.parse(data) });
    }
    return true;
  };
  return {
    async take(count: number): Promise<Block[]> {
      while (blocks.length < count) if (!(await more())) throw new Error(`the stream ended with ${blocks.length} of ${count}`);
      return blocks.splice(0, count);
    },
    /** Waits until the stream has ended; gives what it told before. */
    async ended(): Promise<Block[]> {
      while (await more());
      return blocks.splice(0);
    },
    async close(): Promise<void> {
      abort.abort();
      await reader.cancel().catch(() => {});
    },
  };
}

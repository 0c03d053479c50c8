import { z } from "zod";

export type Item = Readonly<Record<string, unknown>>;
/** What a history needs of an outcome; the rest stays with it. */
export const cloudEvent = z.looseObject({
  id: z.string(),
  type: z.string(),
  source: z.string(),
  sequence: z.string(),
  causationid: z.string().exactOptional(),
  data: z.record(z.string(), z.unknown()),
});
const page = z.looseObject({ items: z.array(z.record(z.string(), z.unknown())) });

/** The items of an answer that is a list. */
export const itemsOf = (body: unknown): readonly Item[] => page.parse(body).items;

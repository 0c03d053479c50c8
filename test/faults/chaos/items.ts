import { z } from "zod";

export type Item = Readonly<Record<string, unknown>>;
const page = z.looseObject({ items: z.array(z.record(z.string(), z.unknown())) });

/** The items of an answer that is a list. */
export const itemsOf = (body: unknown): readonly Item[] => page.parse(body).items;

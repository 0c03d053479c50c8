import type { Told } from "./rows.ts";

/** Where those who decide nothing tell of an event: its batch's outcome topic. */
export const outcomeTopic = ({ source, batch }: Told): string => `${source.slice(1).replace(/\/eq\/.*/, "")}/batch/${batch}/outcome`;

/**
 * Which of the media types that a route can answer with is asked for (RFC 9110 section 12.5.1): the one with the highest weight, of equals the first that is offered. None that fits is no
 * reason to answer nothing: then it is the first too.
 */
export function accepted<T extends string>(accept: string | undefined, offered: readonly [T, ...T[]]): T {
  const ranges = (accept ?? "*/*").split(",").map((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const weight = Number(parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? 1);
    return { type, weight: Number.isNaN(weight) ? 0 : weight };
  });
  const weightOf = (type: string): number => {
    // the most specific range counts, whatever its weight
    const fitting = [type, `${type.split("/")[0]}/*`, "*/*"].map((name) => ranges.find((range) => range.type === name)).find((range) => range !== undefined);
    return fitting?.weight ?? 0;
  };
  return offered.reduce((best, type) => (weightOf(type) > weightOf(best) ? type : best), offered[0]);
}

import { AsyncLocalStorage } from "node:async_hooks";

/** Whose sites a query may see: those of whoever asks over REST. */
export interface Asking {
  readonly sites: "all" | ReadonlySet<string>;
}

/** Set for the time of a request. Where nothing is set, nothing is seen: what forgets to say for whom it asks fails closed. */
export const asking = new AsyncLocalStorage<Asking>();

/** As the policies of migration 0016 read it; plant ids hold neither a comma nor an asterisk. */
export function sitesSetting(current: Asking | undefined): string {
  if (current === undefined) return "";
  return current.sites === "all" ? "*" : [...current.sites].join(",");
}

/** Whether whoever asks may ask of a site; where nobody is said to ask, nobody may. */
export function isAskedOf(site: string): boolean {
  const sites = asking.getStore()?.sites;
  return sites !== undefined && (sites === "all" || sites.has(site));
}

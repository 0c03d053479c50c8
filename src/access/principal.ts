import type { Role } from "./role.ts";

/** What somebody may, and where; null: at every site. */
export interface Grant {
  readonly role: Role;
  readonly site: string | null;
  /** Of a feed: which kind of status it brings; null: of whoever was granted it before there were kinds. */
  readonly kind?: string | null;
}

/** Who asks. Nobody is who asks a system that nobody administers yet. */
export type Principal =
  | { readonly kind: "nobody" }
  | {
      readonly kind: "person";
      readonly id: string;
      /** As it is printed beside a signature. */
      readonly name: string;
      readonly grants: readonly Grant[];
      /** The session by which they are known, hashed. */
      readonly session: string;
      /** Nothing is open to them but to change their password. */
      readonly mustChangePassword: boolean;
    }
  | { readonly kind: "machine"; readonly id: string; readonly key: string; readonly grants: readonly Grant[] };

/** Who something is on record as done by: `person:ann`, `machine:mes-1`. What nobody in particular did stays `unattributed`, for good. */
export const actorOf = (principal: Principal): string => (principal.kind === "nobody" ? "unattributed" : `${principal.kind}:${principal.id}`);

/** Sites; all of them, also those that are yet to come, where it says so. */
export type Sites = "all" | ReadonlySet<string>;

/** Where somebody may do what these roles may. */
export function sitesOf(principal: Principal, roles: readonly Role[]): Sites {
  if (principal.kind === "nobody") return "all";
  const fitting = principal.grants.filter(({ role }) => roles.includes(role));
  if (fitting.some(({ site }) => site === null)) return "all";
  return new Set(fitting.flatMap(({ site }) => (site === null ? [] : [site])));
}

/** The role by which somebody may do something at a site: the first that fits; null: none does. */
export function roleAt(principal: Principal, roles: readonly Role[], site: string | null): Role | null {
  if (principal.kind === "nobody") return null;
  return roles.find((role) => principal.grants.some((grant) => grant.role === role && (grant.site === null || grant.site === site))) ?? null;
}

/** Whether a machine is the feed of a kind of status at a site. */
export const mayBring = ({ grants }: Extract<Principal, { kind: "machine" }>, kind: string, site: string): boolean =>
  grants.some((grant) => grant.role === "feed" && grant.kind === kind && (grant.site === null || grant.site === site));

export const includesSite = (sites: Sites, site: string): boolean => sites === "all" || sites.has(site);

/** A name as it is printed beside a signature, 21 CFR 11.50 (a)(1): one line of at most 128 characters that shows as it is written. Joiners stay, since some scripts need them. */
export const isPrintedName = (text: string): boolean =>
  text.length <= 128 && text === text.trim() && /[\p{L}\p{N}]/u.test(text) && !/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text);

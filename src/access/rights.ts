import type { Role } from "./role.ts";

// Who may do what: one row for each route. It is what is enforced (a route without a row does not start), what is documented (docs/access.md is made of it), and what is tested, cell by cell.

export interface Right {
  readonly roles: readonly Role[];
  /**
   * `open`: nobody is asked who they are; `signed in`: whoever is; `site`: the role must be held at the site that the path or the body names; `sites`: what is answered is of the sites where the
   * role is held; `every site`: the role must be held at all of them, since what changes concerns all.
   */
  readonly where: "open" | "signed in" | "site" | "sites" | "every site";
  /** What is done stands in a field of the body, and each has roles of its own. */
  readonly by?: { readonly field: string; readonly roles: Readonly<Record<string, readonly Role[]>> };
  /** A program asks for it again by itself whenever its connection breaks, so that asking is no act of a person, and prolongs no session. */
  readonly followed?: true;
}

export const READERS: readonly Role[] = ["integrator", "mes", "operator", "supervisor", "qa_reviewer", "qa_approver", "engineer", "admin", "auditor"];
const TRIES: readonly Role[] = ["integrator", "mes", "operator", "supervisor", "qa_reviewer", "engineer"];
const PERFORMS: readonly Role[] = ["operator", "supervisor"];
const SUPERVISES: readonly Role[] = ["supervisor"];
const ENGINEERS: readonly Role[] = ["engineer"];
const ADMINISTERS: readonly Role[] = ["admin"];
const REVIEWS: readonly Role[] = ["qa_reviewer", "qa_approver"];
const GOVERNS: readonly Role[] = ["supervisor", "qa_reviewer", "qa_approver", "engineer", "admin", "auditor"];
const EXPORTS: readonly Role[] = ["supervisor", "qa_reviewer", "qa_approver", "engineer", "auditor"];

const OPEN: Right = { roles: [], where: "open" };
const SIGNED_IN: Right = { roles: [], where: "signed in" };
const atSite = (roles: readonly Role[]): Right => ({ roles, where: "site" });
const ofSites = (roles: readonly Role[]): Right => ({ roles, where: "sites" });
const everywhere = (roles: readonly Role[]): Right => ({ roles, where: "every site" });
const each = (field: string, roles: Readonly<Record<string, readonly Role[]>>): Right => ({
  roles: [...new Set(Object.values(roles).flat())],
  where: "site",
  by: { field, roles },
});

/** By method and address, as the routes are registered. */
export const RIGHTS: Readonly<Record<string, Right>> = {
  "GET /health/live": OPEN,
  "GET /health/ready": OPEN,
  "GET /openapi.json": OPEN,
  "GET /asyncapi.json": OPEN,
  "GET /v1/codes": OPEN,
  "GET /v1/schemas/:type": OPEN,
  "GET /metrics": everywhere(READERS),

  "POST /v1/sign-ins": OPEN,
  "POST /v1/sign-ins/oidc": OPEN,
  "POST /v1/sign-ins/oidc/completion": OPEN,
  "GET /v1/sign-ins/current": SIGNED_IN,
  "DELETE /v1/sign-ins/current": SIGNED_IN,
  "PUT /v1/people/:person/password": SIGNED_IN,
  "GET /v1/rights": SIGNED_IN,
  // that they may do what they sign is asked of the act itself
  "POST /v1/signatures/challenges": SIGNED_IN,
  "POST /v1/signatures": SIGNED_IN,
  "GET /v1/sites/:site/signatures": atSite(READERS),
  "GET /v1/people": everywhere(["admin", "auditor", "qa_approver"]),
  "POST /v1/people": everywhere(ADMINISTERS),
  "PATCH /v1/people/:person": everywhere(ADMINISTERS),
  "POST /v1/people/:person/grants": everywhere(ADMINISTERS),
  "POST /v1/people/:person/grants/revocation": everywhere(ADMINISTERS),
  "GET /v1/machines": everywhere(["admin", "auditor", "qa_approver"]),
  "POST /v1/machines": everywhere(ADMINISTERS),
  "PATCH /v1/machines/:machine": everywhere(ADMINISTERS),
  "POST /v1/machines/:machine/grants": everywhere(ADMINISTERS),
  "POST /v1/machines/:machine/grants/revocation": everywhere(ADMINISTERS),
  "POST /v1/machines/:machine/keys": everywhere(ADMINISTERS),
  "POST /v1/machines/:machine/keys/:key/revocation": everywhere(ADMINISTERS),

  "GET /v1/events": ofSites(READERS),
  "GET /v1/events/:verdict": ofSites(READERS),
  "POST /v1/events/dry-run": ofSites(TRIES),

  "GET /v1/sites/:site/batches": atSite(READERS),
  "POST /v1/sites/:site/batches": atSite(["mes", "supervisor"]),
  "GET /v1/sites/:site/batches/:batch": atSite(READERS),
  "PATCH /v1/sites/:site/batches/:batch": atSite(["mes", "supervisor"]),
  "POST /v1/sites/:site/batches/:batch/commands": each("command", {
    "release-to-floor": SUPERVISES,
    revoke: SUPERVISES,
    cancel: ["mes", "supervisor"],
    start: ["mes", "operator", "supervisor"],
    pause: PERFORMS,
    resume: PERFORMS,
    stop: ["mes", "operator", "supervisor"],
    abort: PERFORMS,
    amend: ENGINEERS,
    close: SUPERVISES,
    recommend: SUPERVISES,
    release: ["qa_approver"],
    conditional: ["qa_approver"],
    reject: ["qa_approver"],
  }),
  "POST /v1/sites/:site/batches/:batch/steps/:step/commands": each("command", {
    start: PERFORMS,
    evidence: PERFORMS,
    correct: PERFORMS,
    complete: PERFORMS,
    pause: PERFORMS,
    resume: PERFORMS,
    verify: ["operator", "supervisor", "qa_reviewer"],
    skip: SUPERVISES,
    rework: SUPERVISES,
    comment: ["operator", "supervisor", "qa_reviewer", "qa_approver", "engineer"],
  }),
  "GET /v1/sites/:site/batches/:batch/permitted": atSite(READERS),
  "GET /v1/sites/:site/batches/:batch/timeline": atSite(READERS),
  "GET /v1/sites/:site/batches/:batch/record": atSite(READERS),
  "GET /v1/sites/:site/batches/:batch/outcomes": atSite(READERS),
  "GET /v1/sites/:site/batches/:batch/audit-trail": atSite(READERS),

  "GET /v1/context-locks": ofSites(READERS),
  "POST /v1/context-locks/:id/takeover": ofSites(SUPERVISES),
  "GET /v1/context-windows": ofSites(READERS),
  "GET /v1/sources/:site/:line/:equipment": atSite(READERS),
  "GET /v1/sources/:site/:line/:equipment/:device": atSite(READERS),
  "POST /v1/sources/:site/:line/:equipment/succession": atSite(SUPERVISES),
  "POST /v1/sources/:site/:line/:equipment/:device/succession": atSite(SUPERVISES),
  "GET /v1/gaps": ofSites(READERS),
  "POST /v1/gaps/:id/resolution": ofSites(SUPERVISES),
  "GET /v1/quarantine": ofSites(READERS),
  "POST /v1/quarantine/:id/resolution": ofSites(["supervisor", "qa_reviewer"]),
  "GET /v1/exceptions": ofSites(READERS),
  "POST /v1/exceptions/:id/resolution": ofSites(["qa_reviewer", "qa_approver"]),
  "GET /v1/outcomes": ofSites(READERS),
  "GET /v1/outcomes/events": { ...ofSites(READERS), followed: true },
  "GET /v1/sites/:site/outcomes/confirmation": atSite(READERS),
  "PUT /v1/sites/:site/outcomes/confirmation": atSite(["mes"]),

  "GET /v1/audit/entries": ofSites(READERS),
  "GET /v1/audit/sites/:site": atSite(READERS),
  "PUT /v1/audit/sites/:site": atSite(ADMINISTERS),
  "GET /v1/audit/sites/:site/checkpoint": atSite(READERS),
  "GET /v1/audit/sites/:site/consistency": atSite(READERS),
  "GET /v1/audit/sites/:site/entries/:position": atSite(READERS),
  "GET /v1/audit/sites/:site/entries/:position/proof": atSite(READERS),
  "GET /v1/audit/sites/:site/retention": atSite(READERS),
  "POST /v1/audit/exports": atSite(EXPORTS),
  "GET /v1/audit/reviews": ofSites(READERS),
  "POST /v1/audit/reviews": atSite(REVIEWS),
  "GET /v1/audit/sites/:site/reviews/:review": atSite(READERS),
  "POST /v1/audit/sites/:site/reviews/:review/conclusion": atSite(REVIEWS),

  "GET /v1/sites/:site/parties": atSite(GOVERNS),
  "GET /v1/sites/:site/parties/:party": atSite(GOVERNS),
  "PUT /v1/sites/:site/parties/:party": atSite(["engineer", "admin"]),
  "POST /v1/sites/:site/parties/:party/approval": atSite(["engineer", "admin", "qa_approver"]),
  "POST /v1/sites/:site/parties/:party/activation": atSite(["engineer", "admin"]),
  "POST /v1/sites/:site/parties/:party/revocation": atSite(["engineer", "admin", "supervisor"]),
  "POST /v1/sites/:site/parties/:party/keys/:kid/revocation": atSite(["engineer", "admin", "supervisor"]),
  "POST /v1/sites/:site/parties/:party/credential": atSite(ADMINISTERS),
  "GET /v1/sites/:site/access-review": atSite(GOVERNS),
  "POST /v1/sites/:site/access-review": atSite(REVIEWS),
  "GET /v1/sites/:site/broker-acl": atSite(GOVERNS),

  "GET /v1/sites/:site/stations": atSite(READERS),
  "GET /v1/sites/:site/stations/:station": atSite(READERS),
  "PUT /v1/sites/:site/stations/:station": atSite(["engineer", "admin"]),
  "POST /v1/sites/:site/stations/:station/devices": atSite(["engineer", "admin"]),
  "POST /v1/sites/:site/stations/:station/devices/removal": atSite(["engineer", "admin"]),
  "GET /v1/sites/:site/stations/:station/sessions": atSite(READERS),
  // whoever asks is the person whose session it is; a supervisor ends anybody's
  "POST /v1/sites/:site/stations/:station/sessions": atSite(["supervisor", "operator"]),
  "POST /v1/sites/:site/stations/:station/sessions/:session/end": atSite(["supervisor", "operator"]),

  "GET /v1/registry/recipes": ofSites(READERS),
  "GET /v1/registry/recipes/:id": ofSites(READERS),
  "GET /v1/registry/recipes/:id/revisions/:revision": ofSites(READERS),
  "PUT /v1/registry/recipes/:id/revisions/:revision": everywhere(ENGINEERS),
  "POST /v1/registry/recipes/:id/revisions/:revision/approval": everywhere(["qa_approver"]),
  "GET /v1/registry/state-machines": ofSites(READERS),
  "GET /v1/registry/state-machines/:id": ofSites(READERS),
  "GET /v1/registry/state-machines/:id/revisions/:revision": ofSites(READERS),
  "PUT /v1/registry/state-machines/:id/revisions/:revision": everywhere(ENGINEERS),
  "POST /v1/registry/state-machines/:id/revisions/:revision/approval": everywhere(["qa_approver"]),
  "GET /v1/registry/event-types": ofSites(READERS),
  "GET /v1/registry/event-types/:id": ofSites(READERS),
  "PUT /v1/registry/event-types/:id": everywhere(ENGINEERS),
  "GET /v1/sites/:site/registry/equipment": atSite(READERS),
  "GET /v1/sites/:site/registry/equipment/:id": atSite(READERS),
  "PUT /v1/sites/:site/registry/equipment/:id": atSite(ENGINEERS),
  "GET /v1/sites/:site/registry/sources": atSite(READERS),
  "GET /v1/sites/:site/registry/sources/:id": atSite(READERS),
  "PUT /v1/sites/:site/registry/sources/:id": atSite(ENGINEERS),
  "GET /v1/sites/:site/status/:kind/:id": atSite(READERS),
  // of the kind for which the feed was granted, which is asked of the status itself
  "PUT /v1/sites/:site/status/:kind/:id": atSite(["feed"]),
};

/** Who may do what is asked; of what is done by a field of the body, once the body is there. */
export function rolesFor(right: Right, body: unknown): readonly Role[] {
  if (right.by === undefined) return right.roles;
  const asked: unknown = Object(body)[right.by.field];
  return typeof asked === "string" && Object.hasOwn(right.by.roles, asked) ? (right.by.roles[asked] ?? []) : right.roles;
}

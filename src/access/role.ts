// Roles, and which of them nobody holds together.

/** What a person may be, at a site or at all of them. */
export const PERSON_ROLES = ["integrator", "operator", "supervisor", "qa_reviewer", "qa_approver", "engineer", "admin", "auditor"] as const;
/** What a machine may be. None of these signs, verifies, approves or disposes. */
export const MACHINE_ROLES = ["integrator", "mes", "feed"] as const;

export type PersonRole = (typeof PERSON_ROLES)[number];
export type MachineRole = (typeof MACHINE_ROLES)[number];
export type Role = PersonRole | MachineRole;

/** What each role is for, as people read about it. */
export const ROLE_MEANINGS: Readonly<Record<Role, string>> = {
  integrator: "reads what was accepted or refused and why, and asks what would be",
  mes: "a machine: creates, updates, cancels, starts and stops batches, confirms outcomes; never signs, never disposes",
  feed: "a machine: brings one kind of status from a system of record, and nothing else",
  operator: "performs: starts, pauses and resumes batches and steps, gives evidence",
  supervisor: "answers for production: releases to the floor, resolves gaps, takes over, skips, reworks, closes; disposes for production",
  qa_reviewer: "reviews the audit trail, verifies, resolves quarantine and exceptions",
  qa_approver: "disposes of batches for quality, approves what engineers register",
  engineer: "registers equipment, sources, recipes and state machines, and amends",
  admin: "people, machines and settings; never product",
  auditor: "reads everything, writes nothing",
};

/** Pairs that check each other: one person never holds both at one site. The database refuses them too (migration 0015). */
export const APART: readonly (readonly [PersonRole, PersonRole])[] = [
  ["admin", "qa_reviewer"],
  ["admin", "qa_approver"],
  ["admin", "operator"],
  ["admin", "supervisor"],
  ["operator", "qa_reviewer"],
  ["operator", "qa_approver"],
  ["supervisor", "qa_reviewer"],
  ["supervisor", "qa_approver"],
  ["integrator", "qa_reviewer"],
  ["integrator", "qa_approver"],
  ["engineer", "qa_reviewer"],
  ["engineer", "qa_approver"],
  ["auditor", "operator"],
  ["auditor", "supervisor"],
  ["auditor", "qa_reviewer"],
  ["auditor", "qa_approver"],
  ["auditor", "engineer"],
  ["auditor", "admin"],
];

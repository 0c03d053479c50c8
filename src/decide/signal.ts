import type { Signature } from "../access/signature.ts";
import type { PerformedBy } from "../authorise/performer.ts";
import type { DeviceEvent, Diagnosis, PartialEvent, Refusal } from "../decode/event.ts";
import type { Provenance } from "../decode/provenance.ts";
import type { Signed } from "../decode/signature.ts";
import type { Jws } from "../decode/signed.ts";
import type { Delivery } from "../receive/delivery.ts";
import type { LeftOut } from "../receive/left-out.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { ExceptionDisposition } from "./exception.ts";

/** An event as the judge holds it: what it says, on which branch its delivery arrived, when, how many bytes it had, and who performed it. */
export interface EventInHand {
  readonly said:
    | { readonly kind: "event"; readonly event: DeviceEvent }
    | { readonly kind: "refused"; readonly refusal: Refusal; readonly partial: PartialEvent };
  /** Who it claims to be: all that is judged of it asks for that, so it is made once. */
  readonly claimed: Identity;
  readonly branch: Branch;
  /** RFC 3339, the database's clock. */
  readonly receivedAt: string;
  readonly bytes: number;
  /** As it was found when the event first came, for good; null: nobody was at its station. */
  readonly performedBy: PerformedBy | null;
}

/** What an event says of itself, as far as it could be read; nothing of it is believed yet. */
export interface Identity {
  readonly source: string | null;
  readonly line: string | null;
  readonly equipment: string | null;
  readonly id: string | null;
  readonly type: string | null;
  readonly time: string | null;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
  /** Under which it is remembered; null: it has neither id nor number. */
  readonly hash: string | null;
}

/** The line and equipment of the topic on which a delivery arrived; its verdict goes back there. */
export interface Branch {
  readonly line: string | null;
  readonly equipment: string | null;
}

export interface EventSignal {
  readonly kind: "event";
  readonly delivery: Delivery;
  readonly inHand: EventInHand;
  /** Whose word it is; absent: nothing is known of that. */
  readonly provenance?: Provenance;
  /** It stands for all that its branch sent beyond its quota, itself the last of them; absent: it is judged. */
  readonly leftOut?: LeftOut;
  /** What it says if its branch is one of signed events; to all others it is what is in hand. Absent: it has another form. */
  readonly wrapped?: { readonly jws: Jws; readonly inHand: EventInHand };
  /** By which key it was signed; absent: that was not asked, or by none. */
  readonly signed?: Signed;
  /** The source of the equipment on whose branch it came, where it names no source that agrees with that, or says so only inside of a signature. Absent on record from before it was asked. */
  readonly branchSource?: string;
  /** What must be signed was asked of its branch, since it has no source of which it could be; it goes on record, so that it is asked again. */
  readonly askedOfBranch?: true;
}

export interface DiagSignal {
  readonly kind: "diag";
  readonly delivery: Delivery;
  readonly diagnosis: Diagnosis;
  readonly receivedAt: string;
  /** It is decided again. What is not believed is not put on record, and what is on record was believed, also before that was asked of a diagnosis; absent: it has just come. */
  readonly onRecord?: true;
}

export type BatchCommandName = "release-to-floor" | "revoke" | "cancel" | "start" | "pause" | "resume" | "stop" | "abort" | "amend" | "close" | DispositionName;
/** Production recommends; quality disposes. */
export type DispositionName = "recommend" | "release" | "conditional" | "reject";
export type StepCommandName = "start" | "evidence" | "correct" | "complete" | "pause" | "resume" | "verify" | "skip" | "rework" | "comment";

export type Command =
  | {
      readonly kind: "batch.create";
      readonly batch: string;
      readonly jobOrder: string;
      readonly line: string;
      readonly recipe: string;
      readonly revision: number;
      readonly quantity: { readonly value: string; readonly unit: string };
      readonly equipment: Readonly<Record<string, string>>;
      readonly asked: string;
    }
  | {
      readonly kind: "batch.update";
      readonly batch: string;
      readonly quantity: { readonly value: string; readonly unit: string } | null;
      readonly equipment: Readonly<Record<string, string>> | null;
      readonly reason: string | null;
    }
  | {
      readonly kind: "batch.command";
      readonly batch: string;
      readonly command: BatchCommandName;
      readonly reason: string | null;
      /** Of a signature about the disposition: it binds to the record as it stands, and is void when that changes. Those from before this was decided say nothing of it. */
      readonly binding?: true;
      /** Of an amendment: the revision of its recipe under which the batch goes on. */
      readonly revision?: number;
    }
  | {
      readonly kind: "step.command";
      readonly batch: string;
      readonly step: string;
      readonly command: StepCommandName;
      readonly reason: string | null;
      readonly evidence: { readonly evidence: string; readonly value: string | boolean | null; readonly unit: string | null } | null;
      readonly comment: string | null;
      /** The record in the quality system under which it is done, where one is named. */
      readonly linked?: string;
    }
  | {
      readonly kind: "gap.resolve";
      readonly source: string;
      readonly gap: Ref;
      readonly action: "wait" | "skip" | "rebase";
      readonly epoch: bigint | null;
      readonly sequence: bigint | null;
      readonly reason: string;
    }
  | { readonly kind: "source.succession"; readonly source: string; readonly reason: string }
  | { readonly kind: "quarantine.resolve"; readonly event: Ref; readonly action: "reprocess" | "reject"; readonly reason: string }
  | {
      readonly kind: "exception.resolve";
      /** Where it was opened, and which of those that were opened there. */
      readonly position: Ref;
      readonly ordinal: number;
      readonly disposition: ExceptionDisposition;
      readonly linked: string;
      readonly reason: string;
    }
  | { readonly kind: "lock.takeover"; readonly equipment: string; readonly token: number; readonly reason: string };

export interface CommandSignal {
  readonly kind: "command";
  readonly command: Command;
  /** Who asks. Until a session exists an act is `unattributed`, for good. */
  readonly actor: string;
  /** The role by which they might; null where nobody signs in. */
  readonly role: string | null;
  /** Under which it is asked, whole; null: under none. */
  readonly signature: Signature | null;
  /** From where: the caller's address and what it called. */
  readonly from: string | null;
  /** The version that the caller saw, when it said so. */
  readonly ifVersion: number | null;
  readonly key: { readonly key: string; readonly request: string; readonly bodyDigest: string } | null;
  readonly receivedAt: string;
}

export type Tick =
  /** A deferred event's patience has ended. */
  | { readonly tick: "patience"; readonly event: Ref }
  /** A gap made no progress for its limit. */
  | { readonly tick: "gap"; readonly source: string }
  /** A waiting event of an ended epoch was not replaced by a copy. */
  | { readonly tick: "expiry"; readonly source: string; readonly incarnation: number; readonly epoch: string; readonly sequence: string }
  /** Waiting events that have come next are judged, a slice at a time. */
  | { readonly tick: "drain"; readonly source: string }
  /** Deferred events that wait for something that changed are judged again, those behind a position when the older ones were already. */
  | { readonly tick: "again"; readonly waitsFor: readonly string[]; readonly after?: Ref }
  /** The shard did not receive for a while; every due time moves on by as much. */
  | { readonly tick: "interruption"; readonly ms: number };

export interface TickSignal {
  readonly kind: "tick";
  readonly tick: Tick;
  readonly receivedAt: string;
}

export type Signal = EventSignal | DiagSignal | CommandSignal | TickSignal;

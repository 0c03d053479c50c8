// Who performed what a device reports: the person whose session was open at the device's station at the time of the act. Never what a message says (docs/decisions/0015-stations.md).
// Times are RFC 3339 in UTC with six decimals, so that their order is that of their text.

/** Who did it, where, in which session, at what time and by which clock: that of the device, or the service's own at the event's arrival. */
export interface PerformedBy {
  readonly person: string;
  readonly station: string;
  /** The position of the act that opened the session. */
  readonly session: number;
  readonly at: string;
  readonly clock: "device" | "arrival";
}

/** When an act was done, as far as a clock can be believed. */
export type ActTime = Pick<PerformedBy, "at" | "clock">;

/** A session that nobody has ended on record. It is over all the same once its idle limit has passed. */
export interface OpenSession {
  readonly session: number;
  readonly person: string;
  readonly openedAt: string;
  readonly seenAt: string;
  readonly idleSeconds: number;
}

export interface StationState {
  readonly station: string;
  readonly version: number;
  readonly open: OpenSession | null;
}

/** At which station a source was at a time, and whose session there had been open and has ended since. */
export interface StationAt {
  readonly station: string;
  readonly ended: { readonly session: number; readonly person: string } | null;
}

/** The instant at which a session ends of itself, unless something is heard before. */
export const idleEnd = ({ seenAt, idleSeconds }: Pick<OpenSession, "seenAt" | "idleSeconds">): string => later(seenAt, idleSeconds);

export const isOpenAt = (session: OpenSession, at: string): boolean => session.openedAt <= at && at < idleEnd(session);

/** Null: nobody was at the station then. */
export function performerAt({ station, open }: StationState, { ended }: StationAt, { at, clock }: ActTime): PerformedBy | null {
  const then = open !== null && isOpenAt(open, at) ? open : ended;
  return then === null ? null : { person: then.person, station, session: then.session, at, clock };
}

/** The station as it is after something was heard of it: an open session goes on, one that was idle too long does not come back. */
export function heard(station: StationState, at: string): StationState {
  const { open } = station;
  return open === null || !isOpenAt(open, at) || at <= open.seenAt ? station : { ...station, open: { ...open, seenAt: at } };
}

/** A timestamp in the form in which these are compared. */
export function utc(time: string): string {
  const [, seconds = "", fraction = "", zone = ""] = TIMESTAMP.exec(time.toUpperCase()) ?? [];
  return `${zone === "Z" ? seconds : inUtc(seconds, zone)}.${fraction.slice(0, 6).padEnd(6, "0")}Z`;
}

const TIMESTAMP = /^([^.]{19})(?:\.(\d+))?(.*)$/;

const inUtc = (seconds: string, zone: string): string => new Date(Date.parse(`${seconds}${zone}`)).toISOString().slice(0, 19);

const later = (time: string, seconds: number): string => `${new Date(Date.parse(time) + seconds * 1000).toISOString().slice(0, 19)}${time.slice(19)}`;

// Settles a diagnosis that opens a gap or changes a connection state; any other is only counted, and not here.
import { revealedBy } from "../sequence/cursor.ts";
import type { Group } from "./group.ts";
import { recordDiagnosis } from "./record.ts";
import type { DiagSignal } from "./signal.ts";

export function settleDiagnosis(group: Group, signal: DiagSignal): void {
  const { state, epoch, sequence } = signal.diagnosis;
  const source = group.world.source(signal.diagnosis.source);
  if (source === undefined || source.revoked || signal.delivery.retained) return;
  const connection = state ?? source.connection;
  const revealed = revealedBy(source, epoch, sequence);
  if (connection === source.connection && revealed === null) return;
  const ref = group.next();
  group.putSource({ ...source, connection, highest: revealed ?? source.highest }, ref);
  recordDiagnosis(group, ref, signal, source);
}

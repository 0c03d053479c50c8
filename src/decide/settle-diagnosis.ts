// Settles a diagnosis that opens a gap or changes a connection state; any other is only counted, and not here. So is one that is not believed.
import { revealedBy } from "../sequence/cursor.ts";
import type { Group } from "./group.ts";
import { recordDiagnosis } from "./record.ts";
import type { DiagSignal } from "./signal.ts";

export function settleDiagnosis(group: Group, signal: DiagSignal): void {
  const { state, epoch, sequence } = signal.diagnosis;
  const source = group.world.source(signal.diagnosis.source);
  if (source === undefined || source.revoked) return;
  // a diagnosis has no signature: where everything must be signed it could be anybody's who writes at the broker
  if (source.signing?.must === "all" && signal.onRecord !== true) {
    group.unbelieved.add(signal);
    return;
  }
  if (signal.delivery.retained) return;
  const connection = state ?? source.connection;
  const revealed = revealedBy(source, epoch, sequence);
  if (connection === source.connection && revealed === null) return;
  const ref = group.next();
  group.putSource({ ...source, connection, highest: revealed ?? source.highest }, ref);
  recordDiagnosis(group, ref, signal, source);
}

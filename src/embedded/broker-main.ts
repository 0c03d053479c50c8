import { createServer } from "node:net";
import { Aedes, type AuthenticateError, type Client } from "aedes";
import { Gate, SERVICE_USER, tableSchema } from "../parties/broker-table.ts";
import { keepOneCopy } from "./one-copy.ts";

// The embedded broker's own process. It has one parent and ends with it. It listens when its parent has said who may do what.
const [host = "127.0.0.1", port = "0"] = process.argv.slice(2);
const MOST_OF_A_TOPIC = 65_535;
/** The highest QoS that each client asked for. */
const asked = new WeakMap<object, number>();
/** As whom each client is connected, with what it was let in by; and whose the sessions are that outlast a connection. */
const entered = new WeakMap<object, { readonly user: string | null; readonly verifier: string | null }>();
const sessions = new Map<string, { readonly user: string | null; readonly client: object }>();
const connected = new Set<Client>();

const gate = new Gate(tableSchema.parse(await new Promise((resolve) => process.once("message", resolve))));
const userOf = (client: object): string | null => entered.get(client)?.user ?? null;

const broker = await Aedes.createBroker({
  id: "signalbox-embedded",
  authenticate(client, username, password, done) {
    const user = gate.enter(username, password);
    if (user === false) return done(refusal(4, "bad user name or password"), false);
    // whoever takes over a client id gets its session, and ends its connection: only its own user may
    const owner = sessions.get(client.id)?.user ?? null;
    if (user !== null && ((owner !== null && owner !== user) || (client.id.startsWith("signalbox-") && user !== SERVICE_USER)))
      return done(refusal(2, "the client id is another user's"), false);
    entered.set(client, { user, verifier: gate.verifierOf(user) });
    sessions.set(client.id, { user, client });
    done(null, true);
  },
  // Bytes that are no UTF-8 are read as U+FFFD, which is longer: a topic may come that does not fit into a packet again. Handed on, it would break the connection of whoever hears
  // it, and again on the next one. In a last will aedes passes wildcards on, which no client need accept in a topic. The broker's own branch is nobody else's.
  // Each publish has a turn of the event loop to itself. aedes numbers a message, then stores it, then hands it on, and whoever hears it takes a lower number than the last for a
  // repeat. Of one sender's packets that came together one overtook another: the slower was withheld, the place of a third was cleared in its stead, and the subscriber's connection
  // was ended over that.
  authorizePublish: (client, { topic }, done) =>
    setImmediate(
      done,
      topic.startsWith("$SYS/") ||
        /^$|[+#]/.test(topic) ||
        Buffer.byteLength(topic) > MOST_OF_A_TOPIC ||
        !gate.may(client === null ? null : userOf(client), "publish", topic)
        ? new Error("nobody may publish on this topic")
        : null,
    ),
  authorizeSubscribe(client, subscription, done) {
    if (!gate.maySubscribe(userOf(client), subscription.topic)) return done(null, null);
    asked.set(client, Math.max(asked.get(client) ?? 0, subscription.qos));
    done(null, subscription);
  },
  // aedes looks for what was granted under the topic's own name, where a subscription with a wildcard is not found. At QoS 2 a client library acknowledges by itself, and promise 2
  // rests on the service's own word.
  authorizeForward(client, packet) {
    if (!gate.may(userOf(client), "subscribe", packet.topic)) return null;
    if (packet.qos === 2 && (asked.get(client) ?? 0) < 2) packet.qos = 1;
    return packet;
  },
});
keepOneCopy(broker);
const server = createServer(broker.handle);

function refusal(returnCode: 2 | 4, message: string): AuthenticateError {
  return Object.assign(new Error(message), { returnCode });
}

/** Ends the connection of whoever may not stay: it was revoked, or has another credential since. */
function look(client: Client): void {
  const as = entered.get(client);
  if (!gate.mayStay(as?.user ?? null, as?.verifier ?? null)) client.close();
}

broker.on("clientReady", (client) => {
  connected.add(client);
  // the table may have changed while it was being let in
  look(client);
});
broker.on("clientDisconnect", (client) => {
  connected.delete(client);
  // only a session that outlasts its connection is worth guarding any longer
  if (client.clean && sessions.get(client.id)?.client === client) sessions.delete(client.id);
});

process.on("message", (message) => {
  gate.change(tableSchema.parse(message).users);
  for (const client of connected) look(client);
  process.send?.({ enforced: true });
});

const end = (): void => {
  server.close();
  broker.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 1_000).unref();
};
process.on("SIGTERM", end);
process.on("SIGINT", () => {});
process.on("disconnect", end);

server.once("error", (error: NodeJS.ErrnoException) => {
  process.send?.(error.code === "EADDRINUSE" ? { taken: true } : { error: error.message }, undefined, undefined, () => process.exit(1));
});
server.listen(Number(port), host, () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" && address !== null ? address.port : Number(port) });
});

import { createServer } from "node:net";
import { Aedes } from "aedes";
import { keepOneCopy } from "./one-copy.ts";

// The embedded broker's own process. It has one parent and ends with it.
const [host = "127.0.0.1", port = "0"] = process.argv.slice(2);
const MOST_OF_A_TOPIC = 65_535;
/** The highest QoS that each client asked for. */
const asked = new WeakMap<object, number>();
const broker = await Aedes.createBroker({
  id: "signalbox-embedded",
  // Bytes that are no UTF-8 are read as U+FFFD, which is longer: a topic may come that does not fit into a packet again. Handed on, it would break the connection of whoever hears
  // it, and again on the next one. In a last will aedes passes wildcards on, which no client need accept in a topic. The broker's own branch is nobody else's.
  // Each publish has a turn of the event loop to itself. aedes numbers a message, then stores it, then hands it on, and whoever hears it takes a lower number than the last for a
  // repeat. Of one sender's packets that came together one overtook another: the slower was withheld, the place of a third was cleared in its stead, and the subscriber's connection
  // was ended over that.
  authorizePublish: (_client, { topic }, done) =>
    setImmediate(
      done,
      topic.startsWith("$SYS/") || /^$|[+#]/.test(topic) || Buffer.byteLength(topic) > MOST_OF_A_TOPIC ? new Error("nobody may publish on this topic") : null,
    ),
  authorizeSubscribe(client, subscription, done) {
    asked.set(client, Math.max(asked.get(client) ?? 0, subscription.qos));
    done(null, subscription);
  },
  // aedes looks for what was granted under the topic's own name, where a subscription with a wildcard is not found. At QoS 2 a client library acknowledges by itself, and promise 2
  // rests on the service's own word.
  authorizeForward(client, packet) {
    if (packet.qos === 2 && (asked.get(client) ?? 0) < 2) packet.qos = 1;
    return packet;
  },
});
keepOneCopy(broker);
const server = createServer(broker.handle);

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

// From a device's `traceparent` to the outcome: one cause is the parent, the causes of a group are links, and what cannot be read is no cause.
import { context, SpanStatusCode, trace } from "@opentelemetry/api";
import { node, type tracing } from "@opentelemetry/sdk-node";
import { describe, expect, test } from "vitest";
import { SPANS, spansOf, startTelemetry, type WithSpan } from "../../../src/ops/telemetry.ts";

const PROCESS = "process site/{site}/line/{line}/eq/{equipment}/event";
const SEND = "send site/{site}/line/{line}/batch/{batch}/outcome";
const DEVICE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

function recording(): { withSpan: WithSpan; spans: () => tracing.ReadableSpan[] } {
  const exporter = new node.InMemorySpanExporter();
  const provider = new node.BasicTracerProvider({ spanProcessors: [new node.SimpleSpanProcessor(exporter)] });
  return { withSpan: spansOf(provider.getTracer("test")), spans: () => exporter.getFinishedSpans() };
}

describe("a span", () => {
  test("has the sender's span as its parent, and is carried on under its own", async () => {
    const { withSpan, spans } = recording();
    const carried = await withSpan(PROCESS, { "messaging.message.id": "s1-7-40" }, DEVICE, async ({ traceparent }) => traceparent);
    const [span] = spans();
    expect(span).toMatchObject({ name: PROCESS, kind: SPANS[PROCESS], links: [] });
    expect(span?.parentSpanContext).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" });
    expect(span?.attributes).toEqual({ "messaging.system": "mqtt", "messaging.message.id": "s1-7-40" });
    expect(carried).toBe(`00-0af7651916cd43dd8448eb211c80319c-${span?.spanContext().spanId}-01`);
  });

  test("of a group begins a trace of its own, and is linked to every member's", async () => {
    const { withSpan, spans } = recording();
    await withSpan(SEND, { "messaging.batch.message_count": 3 }, [DEVICE, "not a traceparent", OTHER], async ({ note }) =>
      note({ "messaging.message.body.size": 12 }),
    );
    const [span] = spans();
    expect(span?.parentSpanContext).toBeUndefined();
    expect(span?.links.map((link) => link.context.traceId)).toEqual(["0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"]);
    expect(span?.attributes["messaging.message.body.size"]).toBe(12);
  });

  test.each([null, "", "00-zz", `${DEVICE}-more`, "00-00000000000000000000000000000000-b7ad6b7169203331-01"])(
    "without a readable cause (%s) has no parent",
    async (from) => {
      const { withSpan, spans } = recording();
      await withSpan(PROCESS, {}, from, async () => undefined);
      expect(spans()[0]?.parentSpanContext).toBeUndefined();
    },
  );

  test("of work that fails says so, ends, and lets the error go on", async () => {
    const { withSpan, spans } = recording();
    await expect(withSpan(PROCESS, {}, null, () => Promise.reject(new TypeError("the judge broke")))).rejects.toThrow("the judge broke");
    expect(spans()[0]).toMatchObject({ status: { code: SpanStatusCode.ERROR }, attributes: { "error.type": "TypeError" }, ended: true });
  });
});

test("without a collector nothing is recorded, and the work is done all the same", async () => {
  const telemetry = await startTelemetry({ version: "1.2.3", exportSpans: false });
  expect(await telemetry.withSpan(PROCESS, {}, null, async ({ traceparent }) => traceparent)).toBeNull();
  await telemetry.stop();
});

test("the sender's trace goes on even where nothing is recorded", async () => {
  const telemetry = await startTelemetry({ version: "1.2.3", exportSpans: false });
  expect(await telemetry.withSpan(PROCESS, {}, DEVICE, async ({ traceparent }) => traceparent)).toBe(DEVICE);
  await telemetry.stop();
});

test("with a collector spans are recorded until the service stops, even when it does not answer", async () => {
  const telemetry = await startTelemetry({ version: "1.2.3", exportSpans: true });
  const carried = await telemetry.withSpan(PROCESS, {}, DEVICE, async ({ traceparent }) => traceparent);
  expect(carried).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
  await telemetry.stop();
  await telemetry.stop();
  expect(trace.getSpan(context.active())).toBeUndefined();
});

import { type Attributes, context, propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";

export interface TelemetryOptions {
  readonly version: string;
  /** Whether spans go to a collector (OTLP over HTTP), whose address the SDK takes from OTEL_EXPORTER_OTLP_ENDPOINT. Otherwise none are recorded, which costs next to nothing. */
  readonly exportSpans: boolean;
}

/**
 * The spans of the route. Names follow the messaging conventions, `{operation} {destination}`, with the topic's template as destination: their number is fixed.
 * `process` covers a group from reading the world to its commit, `send` a message's way to the broker until that acknowledged it.
 */
export const SPANS = {
  "process site/{site}/line/{line}/eq/{equipment}/event": SpanKind.CONSUMER,
  "send site/{site}/line/{line}/batch/{batch}/outcome": SpanKind.PRODUCER,
} as const satisfies Readonly<Record<string, SpanKind>>;

export type SpanName = keyof typeof SPANS;

/** What is told about a span as it ends, and the `traceparent` under which others go on; null where none is recorded. */
export interface Spanned {
  readonly traceparent: string | null;
  note(attributes: Attributes): void;
}

export type WithSpan = <T>(name: SpanName, attributes: Attributes, from: string | null | readonly string[], work: (span: Spanned) => Promise<T>) => Promise<T>;

export interface Telemetry {
  readonly withSpan: WithSpan;
  /** Sends what is recorded and lets go of the process-wide OpenTelemetry. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts tracing. The SDK itself reads the OTEL_* variables (endpoint, headers, protocol, sampler, resource attributes); no resource detector runs except the one
 * for those variables, since the others publish the command line and the owner of the process.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  if (!options.exportSpans) return { withSpan: spansOf(trace.getTracer("signalbox", options.version)), stop: async () => {} };
  // with its exporters for every protocol it takes as much memory as half of the service's own code: only who records spans loads it
  const { NodeSDK, resources } = await import("@opentelemetry/sdk-node");
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ "service.name": "signalbox", "service.version": options.version }),
    resourceDetectors: [resources.envDetector],
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  let stopping: Promise<void> | null = null;
  return {
    withSpan: spansOf(trace.getTracer("signalbox", options.version)),
    stop: () => {
      stopping ??= within(STOP_MS, sdk.shutdown()).finally(() => {
        trace.disable();
        context.disable();
        propagation.disable();
      });
      return stopping;
    },
  };
}

/** A collector that is away is no reason not to stop: what it has not taken by then is given up. */
const STOP_MS = 2_000;

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => {}), timeout]);
  clearTimeout(timer);
}

const propagator = new W3CTraceContextPropagator();
const getter = { get: (carrier: string, key: string) => (key === "traceparent" ? carrier : undefined), keys: () => ["traceparent"] };

/**
 * Work inside a span. `from` is the `traceparent` of whoever caused it: one cause is the parent; the causes of a group are linked, since a group belongs to none of
 * its members' traces. What is no `traceparent` counts as none. An error is noted and thrown on.
 */
export function spansOf(tracer: Tracer): WithSpan {
  return async (name, attributes, from, work) => {
    const parent = typeof from === "string" ? propagator.extract(ROOT_CONTEXT, from, getter) : ROOT_CONTEXT;
    const links = Array.isArray(from) ? from.flatMap(linkTo) : [];
    const span = tracer.startSpan(name, { kind: SPANS[name], attributes: { "messaging.system": "mqtt", ...attributes }, links }, parent);
    try {
      return await context.with(trace.setSpan(parent, span), () => work({ traceparent: traceparentOf(span), note: (more) => void span.setAttributes(more) }));
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute("error.type", error instanceof Error ? error.name : "unknown");
      throw error;
    } finally {
      span.end();
    }
  };
}

function linkTo(traceparent: string): { context: NonNullable<ReturnType<typeof trace.getSpanContext>> }[] {
  const found = trace.getSpanContext(propagator.extract(ROOT_CONTEXT, traceparent, getter));
  return found === undefined ? [] : [{ context: found }];
}

function traceparentOf(span: Span): string | null {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (!trace.isSpanContextValid(span.spanContext())) return null;
  return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`;
}

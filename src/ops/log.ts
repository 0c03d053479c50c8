import { trace } from "@opentelemetry/api";
import { type Logger, pino } from "pino";

export type Log = Pick<Logger, "fatal" | "error" | "warn" | "info" | "debug">;

/** One JSON line a fact, on standard error's quiet sibling: standard output belongs to the banner. */
export function createLog(options: { readonly level: string; readonly destination?: NodeJS.WritableStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ["*.password", "*.authorization", "err.config", "password", "authorization"], censor: "[secret]" },
      mixin() {
        const span = trace.getActiveSpan()?.spanContext();
        return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
      },
    },
    options.destination ?? process.stderr,
  );
}

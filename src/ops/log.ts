import { trace } from "@opentelemetry/api";
import { type Logger, pino, stdSerializers } from "pino";

export type Log = Pick<Logger, "fatal" | "error" | "warn" | "info" | "debug">;

/** An error without what the database quotes in it: its detail names the values of rows, which are the plant's and not the log's. */
function errorInLog(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { detail: _, where: __, internalQuery: ___, ...told } = stdSerializers.err(error);
  return told;
}

/** One JSON line a fact, on standard error's quiet sibling: standard output belongs to the banner. */
export function createLog(options: { readonly level: string; readonly destination?: NodeJS.WritableStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorInLog },
      redact: { paths: ["*.password", "*.authorization", "err.config", "password", "authorization"], censor: "[secret]" },
      mixin() {
        const span = trace.getActiveSpan()?.spanContext();
        return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
      },
    },
    options.destination ?? process.stderr,
  );
}

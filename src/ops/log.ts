import { trace } from "@opentelemetry/api";
import { type Logger, pino } from "pino";
import { redacted, withoutSecrets } from "./redact.ts";

export type Log = Pick<Logger, "fatal" | "error" | "warn" | "info" | "debug">;

/** One JSON line a fact, on standard error's quiet sibling: standard output belongs to the banner. Nothing that is a secret by its name or its form gets into a line. */
export function createLog(options: { readonly level: string; readonly destination?: NodeJS.WritableStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => Object.fromEntries(Object.entries(Object(redacted(fields)))),
      },
      // errors are made fields above already
      serializers: { err: (error: unknown) => error },
      // what a sentence was given besides its fields
      hooks: { streamWrite: withoutSecrets },
      mixin() {
        const span = trace.getActiveSpan()?.spanContext();
        return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
      },
    },
    options.destination ?? process.stderr,
  );
}

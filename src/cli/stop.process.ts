/** Waits for SIGINT or SIGTERM. A second one ends the process at once: whoever sends it does not want to wait. */
export function untilAskedToStop(): { readonly asked: Promise<"SIGINT" | "SIGTERM">; readonly signal: AbortSignal; forget(): void } {
  const controller = new AbortController();
  let settle: (which: "SIGINT" | "SIGTERM") => void = () => {};
  const asked = new Promise<"SIGINT" | "SIGTERM">((resolve) => {
    settle = resolve;
  });
  const onSignal = (which: "SIGINT" | "SIGTERM") => () => {
    if (controller.signal.aborted) process.exit(which === "SIGINT" ? 130 : 143);
    controller.abort();
    settle(which);
  };
  const onInt = onSignal("SIGINT");
  const onTerm = onSignal("SIGTERM");
  process.on("SIGINT", onInt);
  process.on("SIGTERM", onTerm);
  return {
    asked,
    signal: controller.signal,
    forget() {
      process.off("SIGINT", onInt);
      process.off("SIGTERM", onTerm);
    },
  };
}

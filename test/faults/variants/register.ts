// Loaded before anything else (`node --import`): whatever is loaded after it is the variant that VARIANT names.
import { register } from "node:module";

register(new URL("./hooks.js", import.meta.url), { data: { variant: process.env["VARIANT"] ?? "" } });

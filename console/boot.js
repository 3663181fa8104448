// First who it is, then the application: without a token the browser leaves for the issuer at once.
import { start } from "./lib/auth.js";

if (await start()) await import("./app.js");

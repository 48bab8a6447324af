// The page's HTTP requests. Every failure is an Error whose message can be shown to the user; a
// missing token has a class of its own.

import { compact, member } from "../lib/json.js";

// The page is at /test, possibly below a path of a proxy.
const BASE = new URL(".", location.href);

export class Unauthorized extends Error {
  constructor() {
    super("The server wants a token.");
  }
}

// The value is no longer the one that a write should replace.
export class Conflict extends Error {}

// The message of the error if the server cannot be reached.
export const AWAY = "The server cannot be reached.";

export class Api {
  onReached = () => {}; // called at the first answer after a failure
  // The server's clock minus the browser's, ms: expiries are times of the server's clock.
  skew = 0;
  #trace;
  #isAway = false;

  // trace(direction, text) is called for every write, for the log.
  constructor(trace) {
    this.#trace = trace;
  }

  get now() {
    return Date.now() + this.skew;
  }

  socketUrl(path) {
    const url = new URL(path, BASE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  }

  url(path) {
    return new URL(path, BASE).href;
  }

  // Returns the JSON object at a path: info, stats, server or health.
  async ask(path) {
    return (await this.#request(path)).json();
  }

  // Returns the health, also with status 503, which a server that refuses changes sends.
  async health() {
    const response = await this.#request("health", {}, [503]);
    return response.json();
  }

  // Returns { total, offset, timestamp, entries: [{ key, size, revision, expiresAt, preview }] }.
  async entries({ ns, pattern, order, offset, count }) {
    const query = new URLSearchParams({ pattern: pattern || "*", order, offset, count });
    if (ns) query.set("ns", ns);
    return this.#timed(await this.ask(`entries?${query}`));
  }

  // Returns the same for the given keys, without those that do not exist.
  async entriesOf(ns, keys) {
    const body = JSON.stringify(ns ? { keys, ns } : { keys });
    return this.#timed(await (await this.#post("entries", body)).json());
  }

  // Returns { key, size, revision, expiresAt, text } with the value's exact JSON, or null.
  async entry(key, ns) {
    const query = ns ? `?${new URLSearchParams({ ns })}` : "";
    const text = await (await this.#request(`entries/${encodeURIComponent(key)}${query}`)).text();
    const { entry } = this.#timed(JSON.parse(text));
    return entry && { ...entry, text: member(member(text, "entry"), "value") };
  }

  async namespaces(pattern, count) {
    return this.ask(`namespaces?${new URLSearchParams({ pattern, count })}`);
  }

  // Stores a value. `value` is JSON text, which is sent unchanged; `ttl` is in ms, 0 for no expiry,
  // whatever the server's default. `revision` is the one to replace, 0 for a new key; throws
  // Conflict if the key has another one.
  async set(key, ns, value, ttl, revision) {
    const space = ns ? `,"ns":${JSON.stringify(ns)}` : "";
    const place = `"key":${JSON.stringify(key)}${space},"ttl":${ttl || 0},"ifRev":${revision}`;
    await this.#write("set", `{${place},"value":${compact(value)}}`);
  }

  async remove(key, ns) {
    const query = ns ? `?${new URLSearchParams({ ns })}` : "";
    await this.#request(`entries/${encodeURIComponent(key)}${query}`, { method: "DELETE" });
  }

  async letPagesFromDiskIn(letIn) {
    await this.#write("pages-from-disk", JSON.stringify({ letIn }));
  }

  async openSession(token) {
    await this.#post("session", JSON.stringify({ token }));
  }

  async closeSession() {
    await this.#request("session", { method: "DELETE" });
  }

  async #write(path, body) {
    this.#trace("out", body);
    try {
      const response = await this.#post(path, body);
      this.#trace("in", await response.text());
    } catch (error) {
      this.#trace("in", JSON.stringify({ error: error.message }));
      throw error;
    }
  }

  #post(path, body) {
    const headers = { "Content-Type": "application/json" };
    return this.#request(path, { method: "POST", headers, body });
  }

  #timed(answer) {
    this.skew = answer.timestamp - Date.now();
    return answer;
  }

  async #request(path, options = {}, wanted = []) {
    let response;
    try {
      response = await fetch(new URL(path, BASE), { cache: "no-store", ...options });
    } catch {
      this.#isAway = true;
      throw new Error(AWAY);
    }
    if (this.#isAway) {
      this.#isAway = false;
      this.onReached();
    }
    if (response.status === 409) throw new Conflict(await reason(response));
    if (response.status === 401) throw new Unauthorized();
    if (!response.ok && !wanted.includes(response.status)) throw new Error(await reason(response));
    return response;
  }
}

async function reason(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

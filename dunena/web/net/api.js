// What the page asks over HTTP. Every failure is an Error whose message can be shown as it is; a
// missing token is one of its own.

import { compact, member } from "../lib/json.js";

// The page is at /test; a proxy may have put something in front of that.
const BASE = new URL(".", location.href);

export class Unauthorized extends Error {
  constructor() {
    super("The server wants a token.");
  }
}

// The value is not the one any more that it was to replace.
export class Conflict extends Error {}

// What a problem says while nobody answers.
export const AWAY = "The server cannot be reached.";

export class Api {
  onReached = () => {}; // after it was away
  // The server's clock less ours, ms: expiries are times on the server's.
  skew = 0;
  #trace;
  #isAway = false;

  // trace(direction, text) is told of every write, for the log.
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

  // info, stats, server, health: a JSON object each.
  async ask(path) {
    return (await this.#request(path)).json();
  }

  // The health of a server that refuses changes comes with 503, and is wanted all the same.
  async health() {
    const response = await this.#request("health", {}, [503]);
    return response.json();
  }

  // { total, offset, timestamp, entries: [{ key, size, revision, expiresAt, preview }] }
  async entries({ ns, pattern, order, offset, count }) {
    const query = new URLSearchParams({ pattern: pattern || "*", order, offset, count });
    if (ns) query.set("ns", ns);
    return this.#timed(await this.ask(`entries?${query}`));
  }

  // The same of these keys, without those that do not exist.
  async entriesOf(ns, keys) {
    const body = JSON.stringify(ns ? { keys, ns } : { keys });
    return this.#timed(await (await this.#post("entries", body)).json());
  }

  // { key, size, revision, expiresAt, text } with the value's JSON as it is, or null.
  async entry(key, ns) {
    const query = ns ? `?${new URLSearchParams({ ns })}` : "";
    const text = await (await this.#request(`entries/${encodeURIComponent(key)}${query}`)).text();
    const { entry } = this.#timed(JSON.parse(text));
    return entry && { ...entry, text: member(member(text, "entry"), "value") };
  }

  async namespaces(pattern, count) {
    return this.ask(`namespaces?${new URLSearchParams({ pattern, count })}`);
  }

  // `value` is JSON text, and arrives as it is; `ttl` in ms, 0 for none, whatever the server's default.
  // `revision` is the one that it replaces, 0 for a key that is not there; if there is another, a
  // Conflict.
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

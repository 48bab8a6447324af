// The page's HTTP requests. Every failure is an Error whose message can be shown to the user; a
// missing token has a class of its own.

import { member } from "../lib/json.js";

// The page is at /test, possibly below a path of a proxy.
const BASE = new URL(".", location.href);

export class Unauthorized extends Error {
  constructor() {
    super("The server wants a token.");
  }
}

// The value is no longer the one that was to be changed.
export class Conflict extends Error {
  code = "conflict";

  constructor() {
    super("The value changed meanwhile, so nothing was done. Look at it again.");
  }
}

// What was to be made is there already.
export class Taken extends Error {}

// The message of the error if the server cannot be reached.
export const AWAY = "The server cannot be reached.";

export class Api {
  onReached = () => {}; // called at the first answer after a failure
  // The server's clock minus the browser's, ms: expiries are times of the server's clock.
  skew = 0;
  info = {}; // the last answer of /info
  #isAway = false;

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

  // Returns what programs need that send a message: to HTTP, or to the WebSocket at a path.
  place(path = "ws") {
    const { hasToken, features = [] } = this.info;
    return {
      base: this.url(""), address: this.socketUrl(path), hasToken,
      hasGetWrites: features.includes("getWrites"),
    };
  }

  // Returns the JSON object at a path: info, stats, server or health.
  async ask(path, options) {
    return (await this.#request(path, options)).json();
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
    return this.#timed(await (await this.post("entries", body)).json());
  }

  // Returns { key, size, revision, expiresAt, text, then } with the value's exact JSON, and that of
  // what will be merged into it instead of its expiry, if anything; or null.
  async entry(key, ns) {
    const query = ns ? `?${new URLSearchParams({ ns })}` : "";
    const text = await (await this.#request(`entries/${encodeURIComponent(key)}${query}`)).text();
    const { entry } = this.#timed(JSON.parse(text));
    const shown = entry && member(text, "entry");
    return entry && { ...entry, text: member(shown, "value"), then: member(shown, "then") };
  }

  async namespaces(pattern, count) {
    return this.ask(`namespaces?${new URLSearchParams({ pattern, count })}`);
  }

  async letPagesFromDiskIn(letIn) {
    await this.post("pages-from-disk", JSON.stringify({ letIn }));
  }

  // Returns the pages of a new copy of a template; throws Taken if there is one of that name.
  async makePages(template, name = "") {
    const response = await this.post("templates", JSON.stringify({ template, name }), [409]);
    const answer = await response.json();
    if (response.ok) return answer;
    throw answer.code === "exists" ? new Taken(answer.error) : new Error(answer.error);
  }

  // Shares the server on the network, or no longer. Returns the state, or { error, reason, commands }.
  async share(on) {
    return (await this.post("sharing", JSON.stringify({ on }), [409])).json();
  }

  // Returns an invitation to a page, with the rights of a token by its name.
  async invite(page, token) {
    return (await this.post("invites", JSON.stringify({ page, token }))).json();
  }

  // Returns the response to any request; modules that are loaded later have their own.
  send(path, options) {
    return this.#request(path, options);
  }

  async openSession(token) {
    await this.post("session", JSON.stringify({ token }));
  }

  async closeSession() {
    await this.#request("session", { method: "DELETE" });
  }

  // Sends JSON; returns the response, which may have one of the `wanted` statuses.
  post(path, body, wanted) {
    const headers = { "Content-Type": "application/json" };
    return this.#request(path, { method: "POST", headers, body }, wanted);
  }

  #timed(answer) {
    this.skew = answer.timestamp - Date.now();
    return answer;
  }

  async #request(path, options = {}, wanted = []) {
    let response;
    try {
      response = await fetch(new URL(path, BASE), { cache: "no-store", ...options });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      this.#isAway = true;
      throw new Error(AWAY);
    }
    if (this.#isAway) {
      this.#isAway = false;
      this.onReached();
    }
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

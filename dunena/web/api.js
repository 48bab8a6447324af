// What the page asks over HTTP. Every failure is an Error whose message can be shown as it is; a
// missing token is one of its own.

import { compact } from "./json.js";

// The page is at /test; a proxy may have put something in front of that.
const BASE = new URL(".", location.href);

export class Unauthorized extends Error {
  constructor() {
    super("The server wants a token.");
  }
}

export class Api {
  #trace;

  // trace(direction, text) is told of every write, for the log.
  constructor(trace) {
    this.#trace = trace;
  }

  socketUrl(path) {
    const url = new URL(path, BASE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  }

  async info() {
    return (await this.#request("info")).json();
  }

  // { cursor, keys }; cursor 0 means that there are no more.
  async keys({ pattern, ns, cursor, count }) {
    const query = new URLSearchParams({ pattern: pattern || "*", cursor, count });
    if (ns) query.set("ns", ns);
    return (await this.#request(`keys?${query}`)).json();
  }

  // `value` is JSON text, and arrives as it is.
  async set(key, ns, value) {
    const space = ns ? `,"ns":${JSON.stringify(ns)}` : "";
    const body = `{"key":${JSON.stringify(key)},"value":${compact(value)}${space}}`;
    this.#trace("out", body);
    try {
      const response = await this.#post("set", body);
      this.#trace("in", await response.text());
    } catch (error) {
      this.#trace("in", JSON.stringify({ error: error.message }));
      throw error;
    }
  }

  async openSession(token) {
    await this.#post("session", JSON.stringify({ token }));
  }

  #post(path, body) {
    const headers = { "Content-Type": "application/json" };
    return this.#request(path, { method: "POST", headers, body });
  }

  async #request(path, options = {}) {
    let response;
    try {
      response = await fetch(new URL(path, BASE), { cache: "no-store", ...options });
    } catch {
      throw new Error("The server cannot be reached.");
    }
    if (response.status === 401) throw new Unauthorized();
    if (!response.ok) throw new Error(await reason(response));
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

// What the page changes, and the history of a key. The requests go over a connection of their own,
// which is opened for the first one: in the object store protocol keys may have any characters.

import { compact, member, members } from "../lib/json.js";
import { AWAY, Conflict } from "./api.js";

const ENTRY_LEVEL = 4; // of an object in the list in the result of an answer

// Returns a message whose further `fields` are JSON texts.
export function message(action, key, ns, fields = {}) {
  const names = ns ? { action, key, ns } : { action, key };
  const members = Object.entries(names).map(([name, value]) => [name, JSON.stringify(value)])
    .concat(Object.entries(fields));
  return `{${members.map(([name, json]) => `"${name}":${json}`).join(",")}}`;
}

export class Operations {
  keepsHistory = true; // false if the server is known to keep no earlier values
  #api;
  #trace;
  #socket = null;
  #last = 0;
  #waiting = new Map(); // id -> { isTraced, resolve, reject }

  // trace(direction, text) is called for every change and its answer, for the log.
  constructor(api, trace) {
    this.#api = api;
    this.#trace = trace;
  }

  // Each change is made only if the key is at `revision`, 0 for no value; otherwise it throws
  // Conflict. `expiry` is { ttl, then }: ms, 0 for none, and the JSON text that the ttl ends with.
  // It resolves to { rev, value }: the new revision, and the JSON text of the value if it came.

  // Stores a value: JSON text, which is sent unchanged.
  async set(key, ns, revision, value, expiry) {
    return this.#change("set", key, ns, revision, { ...fieldsOf(expiry), value: compact(value) });
  }

  async remove(key, ns, revision) {
    return this.#change("delete", key, ns, revision, {});
  }

  // Changes the expiry alone.
  async touch(key, ns, revision, expiry) {
    return this.#change("touch", key, ns, revision, fieldsOf(expiry));
  }

  // Brings back the value that the key had at the revision `toRev`.
  async revert(key, ns, revision, toRev) {
    return this.#change("revert", key, ns, revision, { toRev });
  }

  // Applies a JSON Patch, JSON text. `revision` null: to whatever stands there. `wantsValue`: the
  // answer has the value.
  async patch(key, ns, revision, patch, wantsValue) {
    const more = wantsValue ? { return: true } : {};
    return this.#change("patch", key, ns, revision, { patch, ...more });
  }

  // Adds to the number at a JSON Pointer, which is the value of the answer.
  async incr(key, ns, revision, pointer, by) {
    return this.#change("incr", key, ns, revision,
      pointer ? { path: JSON.stringify(pointer), by } : { by });
  }

  // Returns the earlier values, newest first: [{ rev, timestamp, text }] with their exact JSON.
  async history(key, ns) {
    const answer = await this.#ask("history", key, ns, {});
    const { rev, entries } = JSON.parse(answer).result;
    const texts = members(answer, "value", ENTRY_LEVEL);
    return entries
      .map(({ rev, timestamp }, index) => ({ rev, timestamp, text: texts[index] }))
      .filter((entry) => entry.rev !== rev);
  }

  // Gives up what was not answered, after a lost connection or a lost session.
  lose() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const { reject } of this.#waiting.values()) reject(new Error(AWAY));
    this.#waiting.clear();
  }

  async #change(action, key, ns, revision, fields) {
    const condition = revision === null ? {} : { ifRev: revision };
    const answer = await this.#ask(action, key, ns, { ...condition, ...fields }, true);
    const result = member(answer, "result");
    return { rev: Number(member(result, "rev")), value: member(result, "value") };
  }

  // Sends a message whose further `fields` are JSON; resolves to the text of its answer.
  async #ask(action, key, ns, fields, isTraced = false) {
    this.#last += 1;
    const id = this.#last;
    const text = message(action, key, ns, { ...fields, id });
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { isTraced, resolve, reject });
    });
    if (isTraced) this.#trace("out", text);
    const socket = this.#open();
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
    else socket.addEventListener("open", () => socket.send(text));
    return answer;
  }

  #open() {
    if (this.#socket) return this.#socket;
    const socket = new WebSocket(this.#api.socketUrl("ws?protocol=object-store"));
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => {
      if (socket === this.#socket) this.lose();
    };
    return socket;
  }

  #receive(text) {
    const { id: named, error, code } = JSON.parse(text);
    // A message that is no JSON to the server is answered with an error without the id that was in
    // it: answers come in order, so it is that of the oldest request.
    const id = named ?? (error && this.#waiting.keys().next().value);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    if (waiting.isTraced) this.#trace("in", text);
    if (error === undefined) waiting.resolve(text);
    else if (code === "conflict") waiting.reject(new Conflict());
    else waiting.reject(Object.assign(new Error(error), { code }));
  }
}

export function fieldsOf({ ttl, then }) {
  return ttl && then !== undefined ? { ttl, then } : { ttl };
}

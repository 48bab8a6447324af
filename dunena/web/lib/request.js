// What a message does, as an HTTP request.

import { compact, member } from "./json.js";

const OPS = ["set", "delete", "merge", "patch", "incr", "append", "touch", "timer", "revert"];
// What is about one sending of a message and its answer: a program that is copied runs many times.
const LEFT = ["type", "action", "id", "rev", "json", "return", "idempotencyKey"];
// The fields of an operation that can stand in an address: with others all are sent as JSON.
const IN_ADDRESS = { set: ["value", "path", "ttl", "durable"], delete: ["path", "durable"] };
const STRINGS = ["ns", "path", "do", "epoch"];
const DOTS = /^\.\.?$/; // programs take such a key for a step in the path

// Splits a message into { verb, isOp, fields }; the fields are JSON texts by their name.
export function read(text) {
  const message = JSON.parse(text) ?? {};
  const named = message.type ?? message.action;
  const verb = named === "del" ? "delete" : named;
  const names = Object.keys(message).filter((name) => !LEFT.includes(name));
  const fields = Object.fromEntries(names.map((name) => [name, compact(member(text, name))]));
  return { verb, isOp: OPS.includes(verb), fields };
}

// Returns { method, path, body }: the path below the server's address, and JSON or undefined. Null
// if no request does the same. `form` is "object" for one whose body is an object if it changes
// something, "plain" for one without "%" in its path if there is one.
export function requestOf(text, form = "") {
  const { verb, isOp, fields } = read(text);
  const { key, ns, ...more } = fields;
  const name = nameOf(key);
  const get = (path) => name && !DOTS.test(name) && { method: "GET", path };
  if (more.ephemeral === "true") return null; // a session of HTTP would end at once
  if (isOp) return name && requestOfOp(verb, name, fields, form);
  switch (verb) {
    case "ping": return { method: "GET", path: "health/live" };
    case "get": return get(`kv/${name}${query({ ns, ...more })}`);
    case "history": return get(`history/${name}${query({ ns, ...more })}`);
    case "mget": case "mset": return post("cache", { action: `"${verb}"`, ...fields });
    case "txn": return post("txn", fields);
    case "publish": {
      const channel = nameOf(more.channel);
      return channel && { method: "POST", path: `publish/${channel}`, body: more.data };
    }
    default: return null;
  }
}

function requestOfOp(verb, name, fields, form) {
  const { key, ns, ...more } = fields;
  const op = `"${verb}"`;
  const found = [
    post(`kv/${name}${query({ ns })}`, { op, ...more }),
    post("txn", { ops: `[${object({ op, key, ...more })}]`, ns }),
  ];
  if (DOTS.test(name)) return found[1];
  if (form !== "object" && Object.keys(more).every((field) => IN_ADDRESS[verb]?.includes(field))) {
    const { value, ...rest } = more;
    const method = verb === "set" ? "PUT" : "DELETE";
    found.unshift({ method, path: `kv/${name}${query({ ns, ...rest })}`, body: value });
  }
  return found.find(({ path }) => form !== "plain" || !path.includes("%"));
}

function post(path, fields) {
  return { method: "POST", path, body: object(fields) };
}

// Returns the path of the GET request that does what a message does; null if there is none.
export function pathOfGetWrite(text) {
  const { verb, isOp, fields: { key, ...more } } = read(text);
  const name = nameOf(key);
  if (!isOp || !name || DOTS.test(name) || more.ephemeral) return null;
  return `do/SECRET/${verb}/${name}${query(more)}`;
}

function nameOf(json) {
  const name = json && JSON.parse(json);
  return typeof name === "string" && name ? encoded(name) : null;
}

function query(fields) {
  const pairs = Object.entries(fields).filter(([, json]) => json !== undefined)
    .map(([name, json]) => `${name}=${encoded(plain(name, json)).replaceAll("%2F", "/")}`);
  return pairs.length ? `?${pairs.join("&")}` : "";
}

// A string that would be read as other JSON keeps its quotes.
function plain(name, json) {
  const value = JSON.parse(json);
  if (typeof value !== "string") return json;
  try {
    if (!STRINGS.includes(name)) JSON.parse(value);
  } catch {
    return value;
  }
  return STRINGS.includes(name) ? value : json;
}

// Returns the text as a part of an address, without what a shell or a language gives a meaning to.
function encoded(text) {
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, "\ufffd"))
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function object(fields) {
  const members = Object.entries(fields).filter(([, json]) => json !== undefined);
  return `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
}

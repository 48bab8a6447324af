// Many keys at once: reading, storing and deleting them, in batches. A place is { ns, key }; an
// entry also has the JSON texts `value` and maybe `then`, and expiresAt, Unix ms by the wall clock.

import { bytes } from "../lib/json.js";
import { AWAY, Unauthorized } from "./api.js";

const READ_MAX = 1000; // keys of one request
const WRITTEN_MAX = 500; // and less than any server refuses
const WRITTEN_BYTES_MAX = 1_000_000;
const REFUSED_MAX = 100; // after so many the others would be refused too
const AT_ONCE = 4;
const SHOWN_CHARS_MAX = 100; // of a key's name

// Yields lists of at most `max` places of one namespace, in their order.
function* batches(places, max, sizeOf = () => 0) {
  let batch = [];
  let size = 0;
  for (const place of places) {
    const more = sizeOf(place);
    const isFull = batch.length === max || (size && size + more > WRITTEN_BYTES_MAX);
    if (batch.length && (isFull || batch[0].ns !== place.ns)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(place);
    size += more;
  }
  if (batch.length) yield batch;
}

export function byNamespace(places) {
  return [...places].sort((one, other) => (one.ns < other.ns ? -1 : Number(one.ns > other.ns)));
}

// Calls told(places, entries as listed) for the keys of each batch.
async function look(api, places, told) {
  for (const batch of batches(byNamespace(places), READ_MAX)) {
    const { entries } = await api.entriesOf(batch[0].ns, batch.map(({ key }) => key));
    await told(batch, entries);
  }
}

// Returns { standing, refused }: the number of the places that have a key already, and the places
// that can have none, with the reason, as storeEntries() does.
export async function countStanding(api, places) {
  const refused = [];
  let standing = 0;
  const attempt = async (batch) => {
    try {
      standing += (await api.entriesOf(batch[0].ns, batch.map(({ key }) => key))).entries.length;
    } catch (error) {
      const { message } = error;
      if (!message.startsWith("Key ")) throw error;
      if (refused.length === REFUSED_MAX) {
        throw new Error(`More than ${REFUSED_MAX} keys cannot be stored. ${message}.`);
      }
      if (batch.length > 1) {
        await attempt(batch.slice(0, batch.length >> 1));
        await attempt(batch.slice(batch.length >> 1));
      } else refused.push({ ...batch[0], reason: message });
    }
  };
  for (const batch of batches(byNamespace(places), READ_MAX)) await attempt(batch);
  return { standing, refused };
}

// Returns the entries of the places, without those that are gone, or that go with a session.
export async function readEntries(api, places, progress = () => {}) {
  const found = [];
  let done = 0;
  const step = api.info.clockStepMs ?? 0; // the server's clock does not follow the wall clock
  await look(api, places, async (batch, entries) => {
    const lasting = entries.filter(({ session }) => !session);
    for (let from = 0; from < lasting.length; from += AT_ONCE) {
      const read = await Promise.all(lasting.slice(from, from + AT_ONCE)
        .map((entry) => wholeOf(api, entry, batch[0].ns)));
      for (const entry of read) {
        if (!entry) continue;
        const { key, text: value, then, expiresAt } = entry;
        found.push({ ns: batch[0].ns, key, value, then, expiresAt: expiresAt && expiresAt + step });
      }
    }
    done += batch.length;
    progress(done);
  });
  return found;
}

// Returns a listed entry with its whole value, which is requested if it is longer than its preview.
function wholeOf(api, entry, ns) {
  if (entry.thenPreview === undefined) {
    try {
      const value = JSON.parse(entry.preview);
      const text = typeof value === "string" ? value : entry.preview;
      if (bytes(text) === entry.size) return { ...entry, text: entry.preview };
    } catch {
      // The preview is a part of the value.
    }
  }
  return api.entry(entry.key, ns);
}

// Returns the entries as lines of JSON, as `dunena export` writes them.
export function linesOf(entries) {
  return entries.map(({ ns, key, value, then, expiresAt }) => {
    const place = ns ? `"key":${JSON.stringify(key)},"ns":${JSON.stringify(ns)}`
      : `"key":${JSON.stringify(key)}`;
    const expiry = expiresAt ? `,"expiresAt":${expiresAt}` : "";
    return `{${place},"value":${value}${expiry}${then === undefined ? "" : `,"then":${then}`}}\n`;
  }).join("");
}

// Stores the entries; with `isNew` only those whose key has no value. Returns { done, refused }:
// the number that was stored, and [{ ns, key, reason }].
export function storeEntries(api, entries, progress, isNew = false) {
  const op = ({ key, value, then, expiresAt }) => {
    const ttl = expiresAt ? Math.max(1, Math.round(expiresAt - Date.now())) : 0;
    return `{"op":"set","key":${JSON.stringify(key)},"value":${value},"ttl":${ttl}${
      ttl && then !== undefined ? `,"then":${then}` : ""}${isNew ? ",\"ifRev\":0" : ""}}`;
  };
  return write(api, entries, op, progress);
}

export function deleteKeys(api, places, progress) {
  return write(api, places, ({ key }) => `{"op":"delete","key":${JSON.stringify(key)}}`, progress);
}

async function write(api, places, opOf, progress = () => {}) {
  const refused = [];
  let done = 0;
  const attempt = async (batch) => {
    if (refused.length >= REFUSED_MAX) return;
    try {
      await api.post("txn",
        `{"ns":${JSON.stringify(batch[0].ns)},"ops":[${batch.map(opOf).join()}]}`);
      done += batch.length;
    } catch (error) {
      if (error instanceof Unauthorized || error.message === AWAY) throw error;
      if (batch.length > 1) {
        // A transaction is refused as a whole: halves of it show which key is to blame.
        const half = batch.length >> 1;
        await attempt(batch.slice(0, half));
        await attempt(batch.slice(half));
      } else refused.push({ ...batch[0], reason: error.message.replace(/^op 0: /, "") });
    }
    progress(done + refused.length);
  };
  const sizeOf = ({ key, value = "", then = "" }) => key.length + value.length + then.length;
  for (const batch of batches(byNamespace(places), WRITTEN_MAX, sizeOf)) await attempt(batch);
  return { done, refused };
}

// Says which keys were refused, and why the first one was.
export function refusalsOf(refused, verb = "Refused") {
  if (!refused.length) return "";
  const shown = (key) => (/^\P{Cc}+$/u.test(key) ? shortOf(key) : JSON.stringify(key));
  const names = refused.slice(0, 5)
    .map(({ ns, key }) => (ns ? `${shown(key)} in ${ns}` : shown(key))).join(", ");
  const more = refused.length > 5 ? ` and ${refused.length - 5} more` : "";
  const rest = refused.length < REFUSED_MAX ? "" : " The rest was not tried.";
  return `${verb}: ${names}${more}. ${refused[0].reason}${rest}`;
}

function shortOf(key) {
  return key.length > SHOWN_CHARS_MAX ? `${key.slice(0, SHOWN_CHARS_MAX)}…` : key;
}

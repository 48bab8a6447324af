// Files to import: what `dunena export` writes (JSON Lines, plain or in a zip), an object of values
// by their keys, and the file of one value, which has the name of its key.

import { compact, pairs } from "./json.js";

const ZIP_MARK = "PK";
const END_OF_ZIP = 0x06054b50;
const DEFLATED = 8;
const MEMBERS = ["key", "ns", "value", "expiresAt", "then"];

// Reads a file. Returns { name, entries, value }: [{ ns, key, value, then, expiresAt }], whose
// namespace is null where the file says nothing of one, and for an object the one entry that
// it is if the file is that of a value, else null. Throws an Error that can be shown.
export async function readFile(file) {
  const buffer = await file.arrayBuffer();
  const head = new TextDecoder().decode(buffer.slice(0, 2));
  const text = head === ZIP_MARK ? await unzip(buffer) : decode(buffer, file.name);
  return { name: file.name, ...contentOf(text, file.name) };
}

// Returns { entries, value } for the text of a file.
export function contentOf(text, name) {
  let whole;
  try {
    whole = JSON.parse(text);
  } catch {
    return { entries: linesOf(text, name), value: null };
  }
  const value = { ns: null, key: keyOf(name), value: compact(text) };
  if (isEntry(whole)) return { entries: linesOf(compact(text), name), value };
  if (whole === null || typeof whole !== "object" || Array.isArray(whole)) {
    return { entries: [value], value: null };
  }
  const entries = onceNamed(text, `${name}: line 1`)
    .map(([key, json]) => ({ ns: null, key, value: compact(json) }));
  return { entries, value };
}

function isEntry(value) {
  return typeof value?.key === "string" && "value" in value
    && Object.keys(value).every((name) => MEMBERS.includes(name));
}

function linesOf(text, name) {
  return text.split("\n").flatMap((line, index) => {
    if (!line.trim()) return [];
    let entry;
    try {
      entry = JSON.parse(line);
    } catch {
      entry = null;
    }
    if (!isEntry(entry)) throw new Error(`${name}: line ${index + 1} has no key and value.`);
    const { key, ns = "", expiresAt = null } = entry;
    const { value, then } = Object.fromEntries(onceNamed(line, `${name}: line ${index + 1}`));
    return [{ key, ns, expiresAt, value, then }];
  });
}

// Returns the pairs of an object's JSON, which must have each name once: JSON.parse would take the
// last of two and lose the other. `where` begins the sentence about it.
function onceNamed(text, where) {
  const found = pairs(text, 1);
  const names = new Set();
  for (const [name] of found) {
    if (names.has(name)) throw new Error(`${where} has the name ${JSON.stringify(name)} twice.`);
    names.add(name);
  }
  return found;
}

// Returns the key of a value's file: what stands as %XX in its name is a byte of UTF-8.
function keyOf(name) {
  const base = name.replace(/\.json$/i, "");
  try {
    return decodeURIComponent(base);
  } catch {
    return base;
  }
}

function decode(buffer, name) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer);
  } catch {
    throw new Error(`${name} is no text in UTF-8.`);
  }
}

// Returns the text of the first file in a zip (APPNOTE 4.3).
async function unzip(buffer) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== END_OF_ZIP) end -= 1;
  if (end < 0) throw new Error("The zip is cut off.");
  const entry = view.getUint32(end + 16, true);
  const method = view.getUint16(entry + 10, true);
  const size = view.getUint32(entry + 20, true);
  const local = view.getUint32(entry + 42, true);
  const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  let stream = new Blob([buffer.slice(from, from + size)]).stream();
  if (method === DEFLATED) stream = stream.pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}

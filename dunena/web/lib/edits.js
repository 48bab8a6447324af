// Edits of one place in a JSON value, as patches that a server carries out (RFC 6902). An edit says
// what it found, so it is refused when somebody else has changed that place, and has an inverse.
//
// A path is a list of member names and list indexes. Edits, whose `before`, `after` and `text` are
// JSON texts:
//   { kind: "replace", path, before, after }
//   { kind: "insert", path, at, name, text }   `at` is the position in the object or list at
//   { kind: "remove", path, at, name, text }   `path`; `name` is null in a list
//   { kind: "rename", path, from, to }         renames a member of the object at `path`

import { parse } from "./jsonparse.js";

// Why an edit cannot be made: GONE, MOVED, OTHER or TAKEN.
export class Refusal extends Error {
  // `found` is the JSON text that stands at the place now, if that is the reason.
  constructor(reason, found) {
    super(reason);
    this.reason = reason;
    this.found = found;
  }
}

export const GONE = "gone"; // there is no such place any more
export const MOVED = "moved"; // a list on the way is another: the place may be another one
export const OTHER = "other"; // another value stands there
export const TAKEN = "taken"; // the object has a member of that name already

// Returns the path as a JSON Pointer (RFC 6901).
export function pointerOf(path) {
  const escaped = (step) => String(step).replaceAll("~", "~0").replaceAll("/", "~1");
  return path.map((step) => `/${escaped(step)}`).join("");
}

// Returns [name or index, node] for everything in an object or a list.
export function childrenOf(node) {
  return node.kind === "object"
    ? node.members.map((member) => [member.name, member.node])
    : (node.items ?? []).map((item, index) => [index, item]);
}

// Returns the node at a path; undefined if there is none.
export function nodeAt(root, path) {
  return path.reduce((node, step) => {
    if (node?.kind === "array") return node.items[step];
    return node?.members?.find(({ name }) => name === step)?.node;
  }, root);
}

// Returns the JSON of a node in one line, with what leafOf(leaf) makes of each node without parts.
export function textOf(node, leafOf = ({ text }) => text) {
  const inside = (part) => textOf(part, leafOf);
  if (node.kind === "array") return `[${node.items.map(inside).join(",")}]`;
  if (node.kind !== "object") return leafOf(node);
  return `{${node.members.map((one) => `${JSON.stringify(one.name)}:${inside(one.node)}`).join(",")}}`;
}

// Returns whether two JSON texts mean the same: servers write 1e2 as 100.0 and "\u00fc" as "ü".
export function isSame(one, other) {
  return one === other || textOf(parse(one), plain) === textOf(parse(other), plain);
}

function plain({ kind, text }) {
  if (kind === "string") return JSON.stringify(JSON.parse(text));
  const number = kind === "number" ? Number(text) : NaN;
  const isExact = !Number.isInteger(number) || Number.isSafeInteger(number);
  return kind === "number" && isExact ? String(number) : text;
}

// Returns whether a path leads to the same thing in two states of a value. In a list that is so
// while the list is as long as before and the texts in the item are the same; `isText` says that
// the text at the end of the path may be another.
export function isSamePlace(before, after, path) {
  let [old, now] = [before, after];
  for (const [depth, step] of path.entries()) {
    if (!old || !now || old.kind !== now.kind) return false;
    if (old.kind === "array") {
      if (old.items.length !== now.items.length) return false;
      const rest = path.slice(depth + 1);
      if (namesIn(old.items[step], rest) !== namesIn(now.items[step], rest)) return false;
    }
    [old, now] = [nodeAt(old, [step]), nodeAt(now, [step])];
  }
  return true;
}

// Returns the texts in a list's item, by which people know it, but for the one at `path`.
function namesIn(item, path) {
  if (!item) return "";
  const end = nodeAt(item, path);
  return JSON.stringify(childrenOf(item)
    .filter(([, node]) => node.kind === "string" && node !== end)
    .map(([name, node]) => [name, node.text]));
}

// Returns the JSON text of a patch that makes an edit in the value `root`, a node. Throws Refusal.
export function patchOf(edit, root) {
  const { kind, path } = edit;
  const node = nodeAt(root, path);
  if (!node) throw new Refusal(GONE);
  const operation = (op, where, value) =>
    `{"op":"${op}","path":${JSON.stringify(pointerOf(where))},"value":${value}}`;
  if (kind === "replace") {
    if (!isSame(textOf(node), edit.before)) throw new Refusal(OTHER, textOf(node));
    return `[${operation("test", path, edit.before)},${operation("replace", path, edit.after)}]`;
  }
  if (kind === "remove") {
    const at = [...path, edit.name ?? edit.at];
    const removed = nodeAt(root, at);
    if (!removed) throw new Refusal(GONE);
    if (!isSame(textOf(removed), edit.text)) throw new Refusal(OTHER, textOf(removed));
    return `[${operation("test", at, edit.text)},${
      `{"op":"remove","path":${JSON.stringify(pointerOf(at))}}`}]`;
  }
  if (kind === "insert" && node.kind === "array" && edit.name === null) {
    return `[${operation("add", [...path, Math.min(edit.at, node.items.length)], edit.text)}]`;
  }
  if (node.kind !== "object" || edit.name === null) throw new Refusal(GONE);
  const members = kind === "insert" ? withMember(node, edit) : withName(node, edit);
  // An object has an order that people see, but no operation adds or renames a member in its place.
  const isLast = kind === "insert" && members.at(-1).name === edit.name;
  if (isLast) return `[${operation("add", [...path, edit.name], edit.text)}]`;
  return `[${operation("replace", path, textOf({ kind: "object", members }))}]`;
}

function withMember({ members }, { at, name, text }) {
  if (members.some((member) => member.name === name)) throw new Refusal(TAKEN);
  const made = { name, node: parse(text) };
  return [...members.slice(0, at), made, ...members.slice(at)];
}

function withName({ members }, { from, to }) {
  if (members.some((member) => member.name === to)) throw new Refusal(TAKEN);
  if (!members.some((member) => member.name === from)) throw new Refusal(GONE);
  return members.map(({ name, node }) => ({ name: name === from ? to : name, node }));
}

// Returns whether a patch of this edit must meet the very value that it was made for. For the rest
// the test that is in the patch is enough.
export function needsRevision({ kind, path, name }) {
  const isWhole = kind === "insert" || kind === "rename"; // it may replace the object around
  return isWhole || name === null || path.some((step) => typeof step === "number");
}

// Returns the path of what an edit is about, also if it is only to be there.
export function placeOf({ path, at, name }) {
  return name === null ? [...path, at] : path;
}

// Returns the edit that takes another one back.
export function inverseOf(edit) {
  switch (edit.kind) {
    case "replace": return { ...edit, before: edit.after, after: edit.before };
    case "rename": return { ...edit, from: edit.to, to: edit.from };
    default: return { ...edit, kind: edit.kind === "insert" ? "remove" : "insert" };
  }
}

// Values as another kind, and values to begin with.

import { childrenOf, textOf } from "./edits.js";
import { kindOf, numberOf } from "./typed.js";

const FALSE = ["false", "null", "0", "", "{}", "[]"];

// Returns the JSON of a node as another kind. Nothing is lost where that is possible: an object
// becomes the list of its values, and a list the text of its JSON.
export function converted(node, kind) {
  const json = textOf(node);
  const from = kindOf(json);
  const isBranch = from === "object" || from === "array";
  const written = from === "string" ? JSON.parse(json) : json;
  switch (kind) {
    case from: return json;
    case "string": return from === "null" ? '""' : JSON.stringify(written);
    case "number": return { true: "1", false: "0" }[json] ?? numberOf(written) ?? "0";
    case "boolean": return String(!FALSE.includes(written));
    case "object": case "array": {
      const parts = isBranch ? childrenOf(node).map((child) => child[1]) : [node];
      const items = from === "null" ? [] : parts;
      if (kind === "array") return textOf({ kind, items });
      const members = items.map((item, index) =>
        ({ name: isBranch ? String(index + 1) : "value", node: item }));
      return textOf({ kind, members });
    }
    default: return "null";
  }
}

// Returns the JSON of a new list item that is like another one: an object with the same members,
// which are empty.
export function blankOf(node) {
  const blanks = { string: '""', number: "0", array: "[]" };
  if (node.kind !== "object") return blanks[node.kind] ?? (node.text === "null" ? "null" : "false");
  const members = node.members.map(({ name, node: part }) => ({ name, node: { text: blankOf(part) } }));
  return textOf({ kind: "object", members });
}

// Returns the number that is `by` more; both are JSON. Integers are exact.
export function sum(number, by) {
  if (/^-?\d+$/.test(number)) return String(BigInt(number) + BigInt(by));
  return String(Number(number) + Number(by));
}

// What people type, as JSON: text without quotes, numbers, or JSON itself.

import { faultOf } from "./jsonparse.js";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
// What begins like this is meant as JSON, even while it is not complete: but not "[LIVE] Reds".
const BRACKETS = /^\s*(?:\{\s*(?:["}]|$)|\[\s*(?:["{[\]\d-]|true\b|false\b|null\b|$))/;

// What people call something of a kind.
export const AS = {
  string: "text", number: "a number", boolean: "true or false", null: "null", object: "an object",
  array: "a list",
};

// Returns the kind of a JSON text, one of the names in AS.
export function kindOf(json) {
  const kinds = { '"': "string", "{": "object", "[": "array", n: "null", t: "boolean", f: "boolean" };
  return kinds[json.trim()[0]] ?? "number";
}

// Returns the JSON number for what was typed, such as "007", "+5" and ".5"; null if it is none, or
// none that can be stored exactly.
export function numberOf(typed) {
  const json = spelledAsJson(typed);
  return json === null || faultOf(json) ? null : json;
}

function spelledAsJson(typed) {
  const text = typed.trim().replace(/^\u2212/, "-");
  if (!NUMBER.test(text)) return null;
  const [, sign, whole, rest] = /^([+-]?)(\d*)(.*)$/.exec(text);
  const fraction = rest.replace(/^\.(?=$|[eE])/, "");
  return `${sign === "-" ? "-" : ""}${whole.replace(/^0+(?=\d)/, "") || "0"}${fraction}`;
}

// Returns whether a text is meant as JSON: an object, a list, a number, true, false or null, or
// something in quotes. Everything else is meant as it stands.
export function looksLikeJson(typed, fault = faultOf(typed)) {
  return BRACKETS.test(typed) || !fault;
}

// Returns what was typed in place of a value of a kind: { json, fault }. A fault is why the JSON
// cannot be stored; json is null if a number is wanted and this is none.
export function readAs(kind, typed) {
  let json = JSON.stringify(typed);
  if (kind === "number") json = spelledAsJson(typed);
  else if (kind === "null") json = spelledAsJson(typed) ?? (isJson(typed) ? typed.trim() : json);
  return { json, fault: json === null ? null : faultOf(json) };
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

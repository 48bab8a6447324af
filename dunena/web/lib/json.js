// JSON as text. JSON.parse loses digits past 53 bits, the form of 1.0 and the order of keys, but
// the page has to show and edit the exact value: so these functions split and indent the text
// itself. The text need not be valid: a truncated message is indented as far as it goes.

const STRUCTURE = "{}[],:";
const SPACE = " \t\n\r";

// Returns the position after the string that begins at `start`.
function endOfString(text, start) {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
}

// Calls visit(token, start) for every string, number, word and punctuation mark, in their order.
function walk(text, visit) {
  let at = 0;
  while (at < text.length) {
    const start = at;
    const mark = text[at];
    if (SPACE.includes(mark)) {
      at += 1;
      continue;
    }
    if (mark === '"') at = endOfString(text, at);
    else if (STRUCTURE.includes(mark)) at += 1;
    else {
      while (at < text.length && !SPACE.includes(text[at]) && !STRUCTURE.includes(text[at])
        && text[at] !== '"') at += 1;
    }
    visit(text.slice(start, at), start);
  }
}

// Returns the JSON indented by two spaces; empty brackets stay together.
export function indent(text) {
  const pieces = [];
  let depth = 0;
  let last = "";
  const newLine = () => pieces.push("\n", "  ".repeat(Math.max(0, depth)));
  walk(text, (token) => {
    const closes = token === "}" || token === "]";
    const follows = last === "{" || last === "[";
    if (closes) depth -= 1;
    if (follows !== closes || last === ",") newLine();
    pieces.push(token === ":" ? ": " : token);
    if (token === "{" || token === "[") depth += 1;
    last = token;
  });
  return pieces.join("");
}

// Returns the JSON in one line without spaces.
export function compact(text) {
  const pieces = [];
  walk(text, (token) => pieces.push(token));
  return pieces.join("");
}

// Returns the text of a member's value in an object's JSON; undefined if there is no such member.
export function member(text, name) {
  let depth = 0;
  let current = null; // the name of the present member of the outermost object
  let from = -1;
  let found;
  let last = "";
  walk(text, (token, start) => {
    if (depth === 1 && from >= 0 && (token === "," || token === "}")) {
      if (current === name) found = text.slice(from, start).trimEnd();
      current = null;
      from = -1;
    } else if (depth === 1 && token === ":" && from < 0) {
      current = JSON.parse(last);
      from = start + 1;
    }
    if (token === "{" || token === "[") depth += 1;
    if (token === "}" || token === "]") depth -= 1;
    last = token;
  });
  return found?.trimStart();
}

// Returns the texts of the items of an array's JSON.
export function items(text) {
  const found = [];
  let depth = 0;
  let from = 1;
  walk(text, (token, start) => {
    if (depth === 1 && (token === "," || token === "]")) {
      found.push(text.slice(from, start).trim());
      from = start + 1;
    }
    if (token === "{" || token === "[") depth += 1;
    if (token === "}" || token === "]") depth -= 1;
  });
  return found[0] === "" ? [] : found;
}

const encoder = new TextEncoder();

// Returns the size of a text in bytes of UTF-8.
export function bytes(text) {
  return encoder.encode(text).length;
}

// JSON as text. A number past 53 bits, 1.0 and the order of keys do not survive JSON.parse; the
// page shows and edits what is really there, so it cuts and indents the text itself. None of this
// needs the text to be valid: a message that was cut short is indented as far as it goes.

const STRUCTURE = "{}[],:";
const SPACE = " \t\n\r";

// The position behind the string that opens at `start`.
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

// Calls visit(token, start) for every string, number, word and punctuation mark in turn.
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

// The same JSON indented by two spaces; empty brackets stay together.
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

// The same JSON in one line without spaces.
export function compact(text) {
  const pieces = [];
  walk(text, (token) => pieces.push(token));
  return pieces.join("");
}

// The text of a member's value in an object's JSON; undefined if it has none of that name.
export function member(text, name) {
  let depth = 0;
  let current = null; // the name of the member we are in, of the outermost object
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

const encoder = new TextEncoder();

// UTF-8 bytes.
export function bytes(text) {
  return encoder.encode(text).length;
}

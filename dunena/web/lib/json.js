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

// Returns the position after the object or array that begins at `start`.
function endOfBranch(text, start) {
  const mark = /["{}[\]]/g;
  mark.lastIndex = start;
  let depth = 0;
  while (mark.test(text)) {
    const found = text[mark.lastIndex - 1];
    if (found === '"') mark.lastIndex = endOfString(text, mark.lastIndex - 1);
    else depth += found === "{" || found === "[" ? 1 : -1;
    if (depth <= 0) return mark.lastIndex;
  }
  return text.length;
}

// Calls visit(token, start) for every string, number, word and punctuation mark, in their order.
// It may return the position to go on at.
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
    at = visit(text.slice(start, at), start) ?? at;
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

// Returns the JSON in one line without spaces, with what change(token) makes of each token.
export function compact(text, change = (token) => token) {
  const pieces = [];
  walk(text, (token) => {
    pieces.push(change(token));
  });
  return pieces.join("");
}

// Returns the text of a member's value in an object's JSON; undefined if there is no such member.
export function member(text, name) {
  return members(text, name, 1).at(-1);
}

// Returns the texts of all values with this name in the objects at a level, 1 for the outermost.
export function members(text, name, level) {
  return pairs(text, level).filter(([found]) => found === name).map(([, value]) => value);
}

// Returns [name, text of the value] for each member of the objects at a level.
export function pairs(text, level) {
  const found = [];
  let depth = 0;
  let current = ""; // the name of the present member of an object at the level
  let from = -1;
  let last = "";
  walk(text, (token, start) => {
    if (depth === level && from >= 0 && (token === "," || token === "}")) {
      found.push([current, text.slice(from, start).trim()]);
      from = -1;
    } else if (depth === level && token === ":" && from < 0) {
      current = JSON.parse(last);
      from = start + 1;
    }
    last = token;
    const opens = token === "{" || token === "[";
    if (opens && depth === level) return endOfBranch(text, start);
    if (opens) depth += 1;
    if (token === "}" || token === "]") depth -= 1;
    return undefined;
  });
  return found;
}

const encoder = new TextEncoder();

// Returns the size of a text in bytes of UTF-8.
export function bytes(text) {
  return encoder.encode(text).length;
}

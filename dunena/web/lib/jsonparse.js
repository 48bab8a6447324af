// Parses JSON to a tree of nodes that keep the written form: numbers as text, names in their order.
// For a text that is no JSON it throws a fault with its place, which browsers report differently or
// not at all. What the server would refuse, since it cannot be stored exactly, is a fault too: a
// repeated name, an integer past 64 bits, a number past a float's, half of a surrogate pair.

const DEPTH_MAX = 254;
const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 64n - 1n;
const SAFE_DIGITS = 18; // every integer with so many digits fits 64 bits
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /[A-Za-z_$][\w$]*/y;
const WORDS = ["true", "false", "null"];
const ESCAPES = '"\\/bfnrt';
const MAYBE_HALF = /\\u[dD][89a-fA-F]|[\ud800-\udfff]/u;
const HALF = /[\ud800-\udfff]/u; // a surrogate of a pair is none by itself with this flag

export class Fault extends Error {
  // `at` is the position in the text; line and column count from 1.
  constructor(reason, text, at) {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    super(`Line ${line}, column ${column}: ${reason}`);
    this.reason = reason;
    this.at = at;
  }
}

// Returns a node: { kind: "object", members: [{ name, node }] }, { kind: "array", items: [node] }
// or { kind: "string" | "number" | "word", text }. Throws Fault.
export function parse(text) {
  const reader = new Reader(text);
  const node = reader.value();
  reader.skipSpace();
  if (reader.at < text.length) reader.fail("there is more after the end of the value");
  return node;
}

// Returns the fault of a text; null if it is JSON.
export function faultOf(text) {
  try {
    parse(text);
    return null;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

class Reader {
  at = 0;
  #text;
  #depth = 0;

  constructor(text) {
    this.#text = text;
  }

  fail(reason, at = this.at) {
    throw new Fault(reason, this.#text, at);
  }

  skipSpace() {
    while (" \t\n\r".includes(this.#text[this.at] ?? "x")) this.at += 1;
  }

  value() {
    this.skipSpace();
    const mark = this.#text[this.at];
    if (mark === undefined) this.fail(this.at ? "a value is missing" : "there is nothing here yet");
    if (mark === "{") return this.#inside(() => this.#object());
    if (mark === "[") return this.#inside(() => this.#array());
    if (mark === '"') return { kind: "string", text: this.#string() };
    if (mark === "-" || (mark >= "0" && mark <= "9")) return this.#number();
    return this.#word();
  }

  #inside(read) {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) this.fail("nested too deeply");
    this.at += 1;
    const node = read();
    this.#depth -= 1;
    return node;
  }

  #object() {
    const members = [];
    const names = new Set();
    this.#list("}", () => {
      const start = this.at;
      if (this.#text[start] !== '"') this.fail('a name in double quotes or "}" should be here');
      const name = JSON.parse(this.#string());
      if (names.has(name)) this.fail(`the name ${JSON.stringify(name)} is there twice`, start);
      names.add(name);
      this.skipSpace();
      if (this.#text[this.at] !== ":") this.fail('":" is missing after the name');
      this.at += 1;
      members.push({ name, node: this.value() });
    });
    return { kind: "object", members };
  }

  #array() {
    const items = [];
    this.#list("]", () => items.push(this.value()));
    return { kind: "array", items };
  }

  #list(end, readOne) {
    this.skipSpace();
    if (this.#text[this.at] === end) {
      this.at += 1;
      return;
    }
    for (;;) {
      readOne();
      this.skipSpace();
      const mark = this.#text[this.at];
      if (mark !== "," && mark !== end) this.fail(`"," or "${end}" is missing`);
      this.at += 1;
      if (mark === end) return;
      this.skipSpace();
      if (this.#text[this.at] === end) this.fail(`a comma before "${end}" is one too many`);
    }
  }

  #string() {
    const text = this.#text;
    const start = this.at;
    for (let at = start + 1; at < text.length; at += 1) {
      const mark = text[at];
      if (mark === '"') {
        this.at = at + 1;
        const found = text.slice(start, this.at);
        if (MAYBE_HALF.test(found) && HALF.test(JSON.parse(found))) {
          this.fail("half of a character, a surrogate without the other one", start);
        }
        return found;
      }
      if (mark < " ") this.fail("a line break or control character inside quotes", at);
      if (mark === "\\") {
        at += 1;
        const isCode = text[at] === "u" && /^[0-9a-fA-F]{4}$/.test(text.slice(at + 1, at + 5));
        if (!isCode && !ESCAPES.includes(text[at] ?? "x")) this.fail("an unknown escape", at - 1);
      }
    }
    return this.fail("the closing quote is missing", start);
  }

  #number() {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.#text)?.[0];
    const next = this.#text[this.at + (found?.length ?? 0)] ?? "";
    if (!found || /[0-9A-Za-z_.+-]/.test(next)) this.fail("this is not a number as JSON has them");
    if (/[.eE]/.test(found)) this.#judgeFloat(found);
    else if (found.length > SAFE_DIGITS) {
      const integer = BigInt(found);
      if (integer < INTEGER_MIN || integer > INTEGER_MAX) this.fail("an integer past 64 bits");
    }
    this.at += found.length;
    return { kind: "number", text: found };
  }

  #judgeFloat(found) {
    const number = Number(found);
    if (!Number.isFinite(number)) this.fail("a number past 1.8e308");
    if (number === 0 && /^[^eE]*[1-9]/.test(found)) {
      this.fail("a number that is closer to 0 than any that computers keep");
    }
  }

  #word() {
    WORD.lastIndex = this.at;
    const found = WORD.exec(this.#text)?.[0];
    if (!WORDS.includes(found)) {
      this.fail(found ? `"${found}" is no JSON; text stands in double quotes` : "a value should be here");
    }
    this.at += found.length;
    return { kind: "word", text: found };
  }
}

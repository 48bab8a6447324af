// What a message does, as text to paste into a terminal, a script or a program for devices.

import { compact, indent } from "./json.js";
import { pathOfGetWrite, read, requestOf } from "./request.js";

const LINE_CHARS_MAX = 72;

// The clients' calls: the fields of a message that are their first arguments. The other fields are
// options, if they are among these.
const CALLS = {
  get: ["key"], mget: ["keys"], history: ["key"], set: ["key", "value"], delete: ["key"],
  merge: ["key", "value"], incr: ["key", "by"], append: ["key", "value"], timer: ["key", "do"],
  revert: ["key"], publish: ["channel", "data"],
};
const JAVASCRIPT_CALLS = { ...CALLS, txn: ["ops"] };
const PYTHON_CALLS = { ...CALLS, patch: ["key", "patch"], touch: ["key", "ttl"] };
const OPTIONS = [
  "ns", "path", "ifRev", "ttl", "then", "durable", "ephemeral", "min", "max", "ms", "rate", "toRev",
  "limit",
];
const READS = ["get", "mget", "history"];

// make(text, place) returns the text for a message; null if the program cannot do what it does. The
// place is { base, address, hasToken }: those of HTTP and of the WebSocket. Commands end without a
// line break, with which a terminal would run them before the token stands in them.
export const PROGRAMS = [
  { name: "curl", make: asCurl },
  { name: "PowerShell", make: asPowerShell },
  { name: "cmd", make: asCmd },
  { name: "JavaScript", make: asJavaScript },
  { name: "Python", make: asPython },
  { name: "Companion", make: asCompanion, isForButtons: true },
  { name: "Stream Deck", make: asStreamDeck, isForButtons: true, isGetWrite: true },
];

// For bash and other POSIX shells: between single quotes nothing else has a meaning.
function asCurl(text, place) {
  return curl(requestOf(text), place, (word) => `'${word.replaceAll("'", "'\\''")}'`);
}

// For the prompt of cmd. What it starts reads \" as a quote, but to cmd itself the quotes end there:
// so the JSON has no mark with a meaning to cmd, and no backslash before a quote.
function asCmd(text, place) {
  const request = requestOf(text, "plain");
  return curl(request && { ...request, body: ascii(request.body) }, place,
    (word) => `"${word.replaceAll('"', '\\"')}"`);
}

function curl(request, { base, hasToken }, quote) {
  if (!request) return null;
  const { method, path, body } = request;
  const words = ["curl", "-sS"];
  if (method !== (body === undefined ? "GET" : "POST")) words.push("-X", method);
  if (hasToken) words.push("-H", quote("Authorization: Bearer TOKEN"));
  if (body !== undefined) words.push("-H", quote("Content-Type: application/json"), "-d", quote(body));
  return [...words, quote(base + path)].join(" ");
}

function asPowerShell(text, { base, hasToken }) {
  const request = requestOf(text);
  if (!request) return null;
  const { method, path, body } = request;
  const words = [`Invoke-RestMethod '${base}${path}'`];
  if (method !== "GET") words.push(`-Method ${method}`);
  if (hasToken) words.push("-Headers @{ Authorization = 'Bearer TOKEN' }");
  if (body !== undefined) words.push(`-ContentType 'application/json' -Body '${ascii(body)}'`);
  return words.join(" ");
}

// The fields of an action of Companion's module "Generic: HTTP Requests". The module sends a string
// without its quotes, so the body is an object; $( begins a variable there.
function asCompanion(text, { base, hasToken }) {
  const request = requestOf(text, "object");
  if (!request) return null;
  const { method, path, body } = request;
  return [
    "Module: Generic: HTTP Requests", `Action: ${method}`, `URL: ${base}${path}`,
    ...body === undefined ? [] : [`Body: ${body.replaceAll("$(", "\\u0024(")}`],
    ...hasToken ? ['Header: {"Authorization":"Bearer TOKEN"}'] : [],
    ...body === undefined ? [] : ["Content Type: application/json"],
    "",
  ].join("\n");
}

function asStreamDeck(text, { base }) {
  const path = pathOfGetWrite(text);
  return path && `${base}${path}`;
}

// With the client, for a page or a script; with a plain WebSocket if the client has no such call, or
// if JavaScript would read another value.
function asJavaScript(text, { base, address, hasToken }) {
  const isSame = isExact(text);
  const call = isSame && callOf(read(text), JAVASCRIPT_CALLS, broken,
    (options) => [`{ ${options.map(([name, json]) => `${name}: ${broken(json)}`).join(", ")} }`]);
  const lines = call ? [
    `import { connect } from ${JSON.stringify(`${base}dunena.js`)};`,
    "",
    `const store = connect(${hasToken ? '{ token: "TOKEN" }' : ""});`,
    call.isRead ? `console.log(await ${call.text});` : `await ${call.text};`,
  ] : [
    ...hasToken ? ["// For a page of the server itself, which is signed in."] : [],
    `const socket = new WebSocket(${JSON.stringify(address)});`,
    `socket.onopen = () => socket.send(${
      isSame ? `JSON.stringify(${indent(text)})` : JSON.stringify(compact(text))});`,
    "socket.onmessage = (event) => console.log(event.data);",
  ];
  return `${lines.join("\n")}\n`;
}

function asPython(text, { base, address, hasToken }) {
  const python = (json) => broken(compact(json, pythonToken)).replaceAll("\n", "\n    ");
  const call = callOf(read(text), PYTHON_CALLS, python, (options) =>
    options.map(([name, json]) => `${name.replace(/R/, "_r")}=${python(json)}`));
  const lines = call ? [
    "import dunena",
    "",
    `with dunena.sync.connect("${base}"${hasToken ? ', token="TOKEN"' : ""}) as store:`,
    `    ${call.isRead ? `print(${call.text})` : call.text}`,
  ] : [
    "from websockets.sync.client import connect",
    "",
    ...hasToken ? ['headers = {"Authorization": "Bearer TOKEN"}'] : [],
    `with connect("${address}"${hasToken ? ", additional_headers=headers" : ""}) as socket:`,
    `    socket.send(${JSON.stringify(compact(text))})`,
    "    for message in socket:",
    "        print(message)",
  ];
  return `${lines.join("\n")}\n`;
}

// Returns the call of a client as { text, isRead }; null if the client has none for the message.
function callOf({ verb, fields }, calls, literal, optionsOf) {
  const names = calls[verb];
  const given = verb === "incr" ? { by: "1", ...fields } : fields;
  const options = Object.entries(given).filter(([name]) => !names?.includes(name));
  if (!names?.every((name) => given[name]) || !options.every(([name]) => OPTIONS.includes(name))) {
    return null;
  }
  const args = names.map((name) => literal(given[name]));
  if (options.length) args.push(...optionsOf(options));
  return { text: `store.${verb}(${args.join(", ")})`, isRead: READS.includes(verb) };
}

// Returns the JSON in one line, or indented if it is long.
function broken(json) {
  return json.length > LINE_CHARS_MAX
    ? indent(json) : compact(json, (token) => (token === "," || token === ":" ? `${token} ` : token));
}

// Returns whether JavaScript reads exactly this value, with all digits of its numbers.
function isExact(text) {
  const line = compact(text, normal);
  return !line.includes("__proto__") && JSON.stringify(JSON.parse(line)) === line;
}

function normal(token) {
  return token[0] === '"' ? JSON.stringify(JSON.parse(token)) : token;
}

function pythonToken(token) {
  return { true: "True", false: "False", null: "None" }[token] ?? normal(token);
}

// Returns the same JSON with every mark escaped that some shell gives a meaning to.
function ascii(json) {
  return json && compact(json, (token) => (token[0] === '"'
    ? `"${JSON.parse(token).replace(/[^\w .,:;/=+*?#@~{}[\]-]/g, escaped)}"` : token));
}

function escaped(unit) {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

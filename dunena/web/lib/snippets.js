// Programs that send a message, to paste into a page, a terminal or a script.

import { compact, indent, member } from "./json.js";

const TOKEN_VARIABLE = "DUNENA_AUTH_TOKEN";

// Returns JavaScript that sends `text` to the WebSocket at `address`.
export function asJavaScript({ text, address, hasToken }) {
  return [
    ...hasToken
      ? ["// Works on this server's own pages, by their session; elsewhere send the token as",
        "// \"Authorization: Bearer ...\" with a WebSocket client that can."]
      : [],
    `const socket = new WebSocket(${JSON.stringify(address)});`,
    `socket.onopen = () => socket.send(${argument(text)});`,
    "socket.onmessage = (event) => console.log(event.data);",
    "",
  ].join("\n");
}

export function asPython({ text, address, hasToken }) {
  const more = hasToken ? ", additional_headers=headers" : "";
  return [
    ...hasToken ? ["import os", ""] : [],
    "from websockets.sync.client import connect",
    "",
    ...hasToken
      ? [`headers = {"Authorization": f"Bearer {os.environ['${TOKEN_VARIABLE}']}"}`]
      : [],
    `with connect(${JSON.stringify(address)}${more}) as socket:`,
    `    socket.send(${JSON.stringify(compact(text))})`,
    "    for message in socket:",
    "        print(message)",
    "",
  ].join("\n");
}

// Returns a curl command for the HTTP request that corresponds to the message; null if there is
// none.
export function asCurl({ text, base, hasToken }) {
  const request = requestOf(JSON.parse(text), compact(text));
  if (!request) return null;
  const [method, path, body] = request;
  const words = ["curl", "-sS"];
  if (method === "DELETE") words.push("-X", "DELETE");
  // In double quotes, in which the shell replaces the variable by the token.
  if (hasToken) words.push("-H", `"Authorization: Bearer $${TOKEN_VARIABLE}"`);
  if (body !== undefined) words.push("-H", "'Content-Type: application/json'", "-d", quoted(body));
  words.push(quoted(new URL(path, base).href));
  return `${words.join(" ")}\n`;
}

function requestOf(message, text) {
  const { type, action, key, ns } = message ?? {};
  const query = typeof ns === "string" && ns ? `?${new URLSearchParams({ ns })}` : "";
  const name = typeof key === "string" ? encodeURIComponent(key) : null;
  const isNamed = name !== null && name !== "";
  switch (type ?? action) {
    case "ping": return type ? ["GET", "health/live"] : null;
    case "get": return isNamed ? ["GET", `${type ? "cache" : "get"}/${name}${query}`] : null;
    case "set": return type
      ? (isNamed ? ["POST", `cache/${name}`, without(text, "type")] : null)
      : ["POST", "set", without(text, "action")];
    case "del": return type && isNamed ? ["DELETE", `cache/${name}${query}`] : null;
    case "delete": return action && isNamed ? ["DELETE", `entries/${name}${query}`] : null;
    case "mget": case "mset":
      return type ? ["POST", "cache", renamed(text, (name) => (name === "type" ? "action" : name))] : null;
    default: return null;
  }
}

// Returns an object's JSON with renamed members and unchanged values.
function renamed(text, rename) {
  const members = Object.keys(JSON.parse(text))
    .map((name) => [rename(name), member(text, name)])
    .filter(([name]) => name !== null)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return `{${members.join(",")}}`;
}

function without(text, left) {
  return renamed(text, (name) => (name === left ? null : name));
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// Returns the JSON as an object literal if JavaScript reads exactly the same value, else as a
// string.
function argument(text) {
  const line = compact(text);
  const isSame = !line.includes("__proto__") && JSON.stringify(JSON.parse(line)) === line;
  return isSame ? `JSON.stringify(${indent(text)})` : JSON.stringify(line);
}

// The ways to connect to the server, and an example of every message of both dialects. A new
// message of the protocol needs one line here and nothing else.

export const PROTOCOLS = [
  { name: "auto", path: "ws", hint: "Both dialects; the first message decides" },
  { name: "dunena", path: "ws?protocol=dunena", hint: "Messages with a type" },
  { name: "object store", path: "ws?protocol=object-store", hint: "Messages with an action" },
  { name: "object store at /", path: "", hint: "The same, at the address without /ws" },
];

// Their keys are names that no show uses: a message that is sent as it is changes nothing of value.

// Messages with the same fields in both dialects, by the name of their example.
const COMMON = {
  create: ["set", { key: "example-new", value: "hello", ttl: 8000, ifRev: 0 }],
  merge: ["merge", { key: "example-object", value: { title: { name: "Ada" } } }],
  patch: ["patch", { key: "example-object", patch: [{ op: "add", path: "/on", value: true }] }],
  incr: ["incr", { key: "example-number", by: 1, idempotencyKey: "another for each vote" }],
  append: ["append", { key: "example-list", value: { from: "Ada", text: "hi" }, max: 50 }],
  touch: ["touch", { key: "example-object", ttl: 60000, then: { on: false } }],
  timer: ["timer", { key: "example-timer", do: "set", ms: 300000, rate: -1 }],
  revert: ["revert", { key: "example-object" }],
  txn: ["txn", {
    ops: [
      { op: "incr", key: "example-number" },
      { op: "set", key: "example-last", value: "Ada", ttl: 8000 },
    ],
  }],
  history: ["history", { key: "example-object", limit: 5 }],
  watch: ["watch", { pattern: "example-*", maxRate: 5 }],
  "watch keys": ["watch", {
    keys: ["example-object", "example-number"], since: { epoch: "of an update", rev: 1 },
  }],
  "watch path": ["watch", { key: "example-object", path: "/title/name" }],
  unwatch: ["unwatch", { pattern: "example-*" }],
  session: ["session", {
    timeout: 10000, grace: 5000, name: "example",
    will: [{ op: "set", key: "example-last", value: "gone" }],
  }],
  ephemeral: ["set", { key: "example-me", value: "here", ephemeral: true }],
  publish: ["publish", { channel: "example", data: { from: "Ada", text: "hi" } }],
};

// Returns the common messages of a dialect; `more` is added to each.
function common(field, more = {}) {
  return Object.fromEntries(Object.entries(COMMON)
    .map(([name, [verb, fields]]) => [name, { [field]: verb, ...fields, ...more }]));
}

export const TEMPLATES = [
  {
    dialect: "dunena",
    messages: {
      ping: { type: "ping" },
      get: { type: "get", key: "example" },
      set: { type: "set", key: "example", value: "hello", ttl: 60000 },
      del: { type: "del", key: "example" },
      mget: { type: "mget", keys: ["example-1", "example-2", "example-3"], ns: "example" },
      mset: {
        type: "mset",
        entries: [{ key: "example-1", value: "v1" }, { key: "example-2", value: "v2", ttl: 5000 }],
        ns: "example",
      },
      subscribe: { type: "subscribe", channel: "cache-events" },
      unsubscribe: { type: "unsubscribe", channel: "cache-events" },
      ...common("type"),
    },
  },
  {
    dialect: "object store",
    messages: {
      subscribe: { action: "subscribe", key: "example" },
      unsubscribe: { action: "unsubscribe", key: "example" },
      set: { action: "set", key: "example", value: { x: 100, y: 200 } },
      get: { action: "get", key: "example" },
      delete: { action: "delete", key: "example" },
      ping: { action: "ping", id: 1 },
      ...common("action", { id: 1 }), // without an id a write has no answer
      // Another request than dunena's, so it needs another idempotencyKey.
      incr: {
        action: "incr", key: "example-number", by: 1, idempotencyKey: "another for each goal", id: 1,
      },
      "subscribe channel": { action: "subscribe", channel: "example", id: 1 },
    },
  },
];

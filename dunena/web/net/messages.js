// The ways to connect to the server, and an example of every message of both dialects. A new
// message of the protocol needs one line here and nothing else.

export const PROTOCOLS = [
  { name: "auto", path: "ws", hint: "Both dialects; the first message decides" },
  { name: "dunena", path: "ws?protocol=dunena", hint: "Messages with a type" },
  { name: "object store", path: "ws?protocol=object-store", hint: "Messages with an action" },
  { name: "object store at /", path: "", hint: "The same, at the address without /ws" },
];

// Their keys are names that no show uses: a message that is sent as it is changes nothing of value.
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
      publish: { type: "publish", channel: "example", data: { from: "Ada", text: "hi" } },
      create: { type: "set", key: "example-new", value: "hello", ttl: 8000, ifRev: 0 },
      merge: { type: "merge", key: "example-object", value: { title: { name: "Ada" } } },
      patch: {
        type: "patch", key: "example-object", patch: [{ op: "add", path: "/on", value: true }],
      },
      incr: { type: "incr", key: "example-number", by: 1, idempotencyKey: "another for each vote" },
      append: {
        type: "append", key: "example-list", value: { from: "Ada", text: "hi" }, max: 50,
      },
      touch: { type: "touch", key: "example-object", ttl: 60000, then: { on: false } },
      timer: { type: "timer", key: "example-timer", do: "set", ms: 300000, rate: -1 },
      revert: { type: "revert", key: "example-object" },
      txn: {
        type: "txn",
        ops: [
          { op: "incr", key: "example-number" },
          { op: "set", key: "example-last", value: "Ada", ttl: 8000 },
        ],
      },
      history: { type: "history", key: "example-object", limit: 5 },
      watch: { type: "watch", pattern: "example-*", maxRate: 5 },
      "watch keys": {
        type: "watch", keys: ["example-object", "example-number"],
        since: { epoch: "of an update", rev: 1 },
      },
      "watch path": { type: "watch", key: "example-object", path: "/title/name" },
      unwatch: { type: "unwatch", pattern: "example-*" },
      session: {
        type: "session", timeout: 10000, grace: 5000, name: "example",
        will: [{ op: "set", key: "example-last", value: "gone" }],
      },
      ephemeral: {
        type: "set", key: "example-me", value: "here", ephemeral: true,
      },
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
      create: { action: "set", key: "example-new", value: "hello", ttl: 8000, ifRev: 0, id: 1 },
      merge: { action: "merge", key: "example-object", value: { title: { name: "Ada" } }, id: 1 },
      patch: {
        action: "patch", key: "example-object", patch: [{ op: "add", path: "/on", value: true }],
        id: 1,
      },
      incr: {
        action: "incr", key: "example-number", by: 1, idempotencyKey: "another for each goal",
        id: 1,
      },
      append: {
        action: "append", key: "example-list", value: { from: "Ada", text: "hi" }, max: 50, id: 1,
      },
      touch: { action: "touch", key: "example-object", ttl: 60000, then: { on: false }, id: 1 },
      timer: { action: "timer", key: "example-timer", do: "set", ms: 300000, rate: -1, id: 1 },
      revert: { action: "revert", key: "example-object", id: 1 },
      txn: {
        action: "txn",
        ops: [
          { op: "incr", key: "example-number" },
          { op: "set", key: "example-last", value: "Ada", ttl: 8000 },
        ],
        id: 1,
      },
      history: { action: "history", key: "example-object", limit: 5, id: 1 },
      watch: { action: "watch", pattern: "example-*", maxRate: 5, id: 1 },
      "watch keys": {
        action: "watch", keys: ["example-object", "example-number"],
        since: { epoch: "of an update", rev: 1 }, id: 1,
      },
      "watch path": { action: "watch", key: "example-object", path: "/title/name", id: 1 },
      unwatch: { action: "unwatch", pattern: "example-*" },
      publish: { action: "publish", channel: "example", data: { from: "Ada", text: "hi" }, id: 1 },
      "subscribe channel": { action: "subscribe", channel: "example", id: 1 },
      session: {
        action: "session", timeout: 10000, grace: 5000, name: "example",
        will: [{ op: "set", key: "example-last", value: "gone" }], id: 1,
      },
      ephemeral: {
        action: "set", key: "example-me", value: "here", ephemeral: true, id: 1,
      },
    },
  },
];

// The ways to connect to the server, and an example of every message of both dialects. A new
// message of the protocol needs one line here and nothing else.

export const PROTOCOLS = [
  { name: "auto", path: "ws", hint: "Both dialects; the first message decides" },
  { name: "dunena", path: "ws?protocol=dunena", hint: "Messages with a type" },
  { name: "object store", path: "ws?protocol=object-store", hint: "Messages with an action" },
  { name: "object store at /", path: "", hint: "The same, at the address without /ws" },
];

export const TEMPLATES = [
  {
    dialect: "dunena",
    messages: {
      ping: { type: "ping" },
      get: { type: "get", key: "mykey" },
      set: { type: "set", key: "mykey", value: "hello", ttl: 60000 },
      del: { type: "del", key: "mykey" },
      mget: { type: "mget", keys: ["k1", "k2", "k3"], ns: "app" },
      mset: {
        type: "mset",
        entries: [{ key: "k1", value: "v1" }, { key: "k2", value: "v2", ttl: 5000 }],
        ns: "app",
      },
      subscribe: { type: "subscribe", channel: "cache-events" },
      unsubscribe: { type: "unsubscribe", channel: "cache-events" },
      merge: { type: "merge", key: "lower", value: { title: { name: "Ada" } } },
      patch: { type: "patch", key: "lower", patch: [{ op: "add", path: "/on", value: true }] },
      incr: { type: "incr", key: "votes", by: 1 },
      append: { type: "append", key: "chat", value: { from: "Ada", text: "hi" }, max: 50 },
      touch: { type: "touch", key: "votes", ttl: 60000 },
      timer: { type: "timer", key: "clock", do: "set", ms: 300000, rate: -1 },
      revert: { type: "revert", key: "lower" },
      txn: {
        type: "txn",
        ops: [{ op: "incr", key: "votes" }, { op: "set", key: "last", value: "Ada", ttl: 8000 }],
      },
      history: { type: "history", key: "lower", limit: 5 },
      watch: { type: "watch", pattern: "player-*", maxRate: 5 },
      "watch keys": {
        type: "watch", keys: ["match", "scorer"], since: { epoch: "of an update", rev: 1 },
      },
      "watch path": { type: "watch", key: "match", path: "/home/score" },
      unwatch: { type: "unwatch", pattern: "player-*" },
    },
  },
  {
    dialect: "object store",
    messages: {
      subscribe: { action: "subscribe", key: "player-position" },
      unsubscribe: { action: "unsubscribe", key: "player-position" },
      set: { action: "set", key: "player-position", value: { x: 100, y: 200 } },
      get: { action: "get", key: "player-position" },
      delete: { action: "delete", key: "player-position" },
      ping: { action: "ping", id: 1 },
      merge: { action: "merge", key: "lower", value: { title: { name: "Ada" } }, id: 1 },
      patch: { action: "patch", key: "lower", patch: [{ op: "add", path: "/on", value: true }], id: 1 },
      incr: { action: "incr", key: "votes", by: 1, id: 1 },
      append: { action: "append", key: "chat", value: { from: "Ada", text: "hi" }, max: 50, id: 1 },
      touch: { action: "touch", key: "votes", ttl: 60000, id: 1 },
      timer: { action: "timer", key: "clock", do: "set", ms: 300000, rate: -1, id: 1 },
      revert: { action: "revert", key: "lower", id: 1 },
      txn: {
        action: "txn",
        ops: [{ op: "incr", key: "votes" }, { op: "set", key: "last", value: "Ada", ttl: 8000 }],
        id: 1,
      },
      history: { action: "history", key: "lower", limit: 5, id: 1 },
      watch: { action: "watch", pattern: "player-*", maxRate: 5, id: 1 },
      "watch keys": {
        action: "watch", keys: ["match", "scorer"], since: { epoch: "of an update", rev: 1 }, id: 1,
      },
      "watch path": { action: "watch", key: "match", path: "/home/score", id: 1 },
      unwatch: { action: "unwatch", pattern: "player-*" },
    },
  },
];

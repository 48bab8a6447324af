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
    },
  },
];

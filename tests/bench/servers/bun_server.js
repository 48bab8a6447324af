// The object-store protocol on Bun as one writes it there: Bun.serve, its topics and its publish.
//
//     bun bun_server.js PORT
//
// One process; values in memory alone. WebSocket on every path, GET /get/{key} and POST /set, and GET and
// PUT of /kv/{key}, which have the value alone.

const values = new Map();

const update = (key) => JSON.stringify({ key, value: values.get(key) ?? null });

const json = (text, status = 200) =>
  new Response(text, { status, headers: { "Content-Type": "application/json" } });

function store(key, value) {
  values.set(key, value);
  server.publish(key, update(key));
}

const actions = {
  get: (socket, { key }) => socket.send(update(key)),
  set: (_socket, { key, value }) => store(key, value),
  subscribe: (socket, { key }) => {
    socket.subscribe(key);
    if (values.has(key)) socket.send(update(key));
  },
  unsubscribe: (socket, { key }) => socket.unsubscribe(key),
};

async function post(request) {
  const { key, value } = await request.json();
  if (typeof key !== "string") return json('{"error":"Missing key"}', 400);
  store(key, value);
  return json(update(key));
}

function read(request) {
  const value = values.get(request.params.key);
  return value === undefined ? json('{"error":"Key not found"}', 404) : json(JSON.stringify(value));
}

async function put(request) {
  const { key } = request.params;
  const status = values.has(key) ? 204 : 201;
  store(key, await request.json());
  return new Response(null, { status });
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  routes: {
    "/get/:key": { GET: (request) => json(update(request.params.key)) },
    "/set": { POST: post },
    "/kv/:key": { GET: read, PUT: put },
  },
  fetch: (request, server) =>
    server.upgrade(request) ? undefined : json('{"error":"Not found"}', 404),
  websocket: {
    message(socket, text) {
      const message = JSON.parse(text);
      const action = actions[message.action];
      if (action && typeof message.key === "string") action(socket, message);
      else socket.send('{"error":"Invalid message format"}');
    },
  },
});

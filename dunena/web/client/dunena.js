// dunena's client. Classic: /dunena.classic.js; types: /dunena.d.ts

const HERE = import.meta.url;
const IS_PAGE = !globalThis.process?.versions?.node; // its WebSocket has no headers
const NODE_SOCKET = "ws"; // bundlers leave it out
const BEAT_MS = 4000; // dead after two silent beats
const PAUSE_MS = 200;
const PAUSE_MS_MAX = 5000;
const WAITING_MAX = 10_000;
const RESEND_MS_MAX = 100_000; // the server remembers its answers for 120 s
const DRIFT_MS = 0.5; // of two clocks, from beat to beat

class DunenaError extends Error {
  name = "DunenaError";

  constructor(text, details) {
    super(text);
    Object.assign(this, details); // code, and of some also key, rev, op
  }
}

function awayText(root) {
  const text = `No server at ${root}; start dunena there`;
  // The fetch of a refused page fails too.
  const { origin } = globalThis; // null for file://
  if (!origin || root.startsWith(`${origin}/`)) return text;
  const button = origin === "null" ? ` or the button at ${root}test` : "";
  return `${text}, or let this page in: --allow-origin ${origin}${button}`;
}

const globText = (key) =>
  `There is no key ${key}; watch({ pattern: "${key}" }, ...) follows all that match`;

function entriesOf(call, value) {
  if ({}.toString.call(value) === "[object Object]") return Object.entries(value);
  throw new TypeError(`${call} takes an object`);
}

function namesOf(pointer) {
  const [start, ...names] = pointer.split("/");
  if (start) throw new DunenaError("Path must be a JSON Pointer", { code: "invalid" });
  return names.map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function partOf(value, names) {
  for (const name of names)
    value = value !== null && Object.hasOwn(Object(value), name) ? value[name] : null;
  return value;
}

async function socketClass() {
  const { WebSocket } = await import(NODE_SOCKET).catch(() => ({}));
  if (WebSocket) return WebSocket;
  throw new DunenaError("There is no WebSocket here: npm install ws, or use Node 22");
}

function connect(url, options = {}) {
  if (url?.constructor === Object) return connect(undefined, url);
  const { onError = console.error, token } = options;
  const home = url
    ? `${url}`.replace(/^(?!.*\/\/)/, "http://").replace(/([^/])(\/ws)?\/*$/, "$1/")
    : /^http/.test(HERE) ? HERE : "http://localhost:3000";
  const at = (path) => new URL(path, home.replace(/^ws/, "http"));
  const root = at("./").href;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const client = crypto.getRandomValues(new Uint32Array(3)).join("-");
  const topics = new Map(); // what is watched
  const statusListeners = new Set();
  const listeners = new Set();
  const sent = new Map(); // requests without an answer, by id
  let waiting = [];
  let status, attempt, socket, timer, valueMax, epoch;
  let lastId = 0, failures = 0, unsent = 0, isHeard = false;
  let clock = { offset: performance.timeOrigin, error: Infinity };

  const canWait = () => options.whileAway !== "refuse" && status !== "closed";
  const spaceOf = (more) => more?.ns ?? options.ns ?? "";
  const lostError = () => new DunenaError("Connection lost", { code: "unknown" });

  function call(callback, ...values) {
    try {
      callback(...values);
    } catch (error) {
      onError(error);
    }
  }

  const listen = (all, callback) => {
    all.add(callback);
    return () => all.delete(callback);
  };

  // --- requests ---

  function makeRequest(action, fields, resolve, reject) {
    const id = ++lastId;
    const text = JSON.stringify({ action, ...fields, ns: spaceOf(fields) || undefined, id });
    return { id, text, resolve, reject };
  }

  function ask(action, fields, rest) {
    return new Promise((resolve, reject) => {
      const request = { ...makeRequest(action, fields, resolve, reject), isKept: true, ...rest };
      if (status === "open") send(request);
      else if (canWait() && waiting.length < WAITING_MAX) waiting.push(request);
      else reject(new DunenaError("Not connected", { code: "not_connected" }));
    });
  }

  // The server knows a change that it gets again by its idempotency key.
  async function change(action, answer, fields) {
    const idempotencyKey = `${client}-${lastId}`;
    const { result } = await ask(action, { idempotencyKey, ...fields }, { isOnce: true });
    return result[answer];
  }

  function send(request) {
    const { id, text, isOnce, reject } = request;
    const max = 6 * valueMax + 65_536; // of a message
    if (text.length * 3 > max && new Blob([text]).size > max)
      return reject(new DunenaError(`Value exceeds max size (${valueMax} bytes)`, { code: "limit" }));
    const now = performance.now();
    const first = (request.first ??= { epoch, now });
    if (isOnce && (first.epoch !== epoch || now - first.now > RESEND_MS_MAX))
      return reject(lostError());
    sent.set(id, request);
    socket.send(text);
  }

  function receive({ id, error, ...message }) {
    isHeard = true;
    // What was refused unread has no id; answers come in order.
    if (error) id ??= sent.keys().next().value;
    const request = sent.get(id);
    sent.delete(id);
    if (message.update) takeUpdate(message.update, id);
    if (message.event) for (const callback of listeners) call(callback, message);
    else if (error) request?.reject(new DunenaError(error, message));
    else request?.resolve(message);
  }

  function ping() {
    const start = performance.now();
    const resolve = ({ pong }) => setClock(pong.timestamp, start);
    send(makeRequest("ping", {}, resolve, () => {}));
  }

  // Keeps the best estimate, until another is better or contradicts it: a clock was set.
  function setClock(timestamp, start) {
    const error = (performance.now() - start) / 2 + 1;
    const offset = timestamp - start - error;
    clock.error += DRIFT_MS;
    const isContrary = Math.abs(offset - clock.offset) > error + clock.error;
    if (error < clock.error || isContrary) clock = { offset, error };
  }

  // --- watches ---

  const nameOf = ({ key, keys, pattern, ns = "", path }) =>
    JSON.stringify([key, keys, pattern, ns, path]);

  function follow(topic) {
    const { selector, maxRate, since, watchers } = topic;
    const refuse = (error) => {
      topic.isRefused = true;
      for (const watcher of watchers) watcher.onError(error);
    };
    const request = makeRequest("watch", { ...selector, maxRate, since }, () => {}, refuse);
    Object.assign(topic, { awaited: request.id, isLive: false, isRefused: false, parts: [] });
    send(request);
  }

  function takeUpdate(update, id) {
    const topic = topics.get(nameOf(update));
    if (!topic) return;
    if (topic.awaited === id) topic.awaited = null;
    if (topic.awaited) return; // this is of the watch before
    topic.parts.push(update);
    if (!update.more) applyUpdate(topic, topic.parts.splice(0));
  }

  function applyUpdate(topic, parts) {
    const { entries, since, watchers } = topic;
    let { isLive } = topic;
    let changes = new Map();
    for (const update of parts) {
      if (update.reset) {
        isLive = false;
        changes = new Map([...entries].map(([key, { rev }]) => [key, { key, rev, event: "delete" }]));
      }
      for (const change of update.changes) changes.set(change.key, change);
    }
    const textOf = (entry) => JSON.stringify(entry?.value);
    const isNews = (entry) =>
      (isLive && !entry.event) || textOf(entry) !== textOf(entries.get(entry.key));
    const news = [...changes.values()].filter(isNews);
    for (const entry of news)
      if (entry.event) entries.delete(entry.key);
      else entries.set(entry.key, entry);
    const { epoch, rev } = parts.at(-1);
    Object.assign(topic, { isLive: true, since: { epoch, rev } });
    if (news.length || !since) for (const watcher of watchers) tell(topic, watcher, news);
  }

  function tell({ selector: { key }, entries, watchers }, watcher, news) {
    if (!watchers.has(watcher)) return;
    if (!watcher.values) {
      watcher.values = Object.create(null);
      news = [...entries.values()];
      if (/[*?]/.test(key) && !news.length) call(watcher.onError, new DunenaError(globText(key)));
    }
    const { values, callback } = watcher;
    const changes = JSON.parse(JSON.stringify(news)); // each has its own
    for (const { key, value, event } of changes)
      if (event) delete values[key];
      else values[key] = value;
    call(callback, key === undefined ? values : (values[key] ?? null), changes);
  }

  function watch(what, callback, more) {
    if (what?.constructor !== Object) what = { key: what };
    const { key, keys, pattern, path, maxRate = Infinity, ...own } = { onError, ...what, ...more };
    const selector = { key, keys, pattern, path, ns: spaceOf(own) };
    const name = nameOf(selector);
    const topic = topics.get(name) ?? { selector, watchers: new Set(), entries: new Map() };
    const watcher = { ...own, callback };
    topic.watchers.add(watcher);
    topics.set(name, topic);
    const isSlower = maxRate <= topic.maxRate;
    if (!isSlower) topic.maxRate = maxRate;
    if (status === "open" && (!isSlower || topic.isRefused)) follow(topic);
    queueMicrotask(() => topic.since && !watcher.values && tell(topic, watcher));
    return () => {
      if (!topic.watchers.delete(watcher) || topic.watchers.size) return;
      topics.delete(name);
      if (status === "open") socket.send(makeRequest("unwatch", selector).text);
    };
  }

  // --- the connection ---

  const sendEvents = () =>
    socket.send(`{"type":"${listeners.size ? "" : "un"}subscribe","channel":"cache-events"}`);

  function become(next) {
    status = next;
    for (const callback of statusListeners) call(callback, status);
  }

  async function load(path, signal) {
    const response = await fetch(at(path), { headers, signal });
    const body = await response.json().catch((error) => {
      if (error.name !== "SyntaxError") throw error;
    });
    if (response.ok && body) return body;
    const text = response.status !== 404 && body?.error;
    throw new DunenaError(text || `What answers at ${root} is no dunena`);
  }

  async function open() {
    const { signal } = (attempt = new AbortController());
    timer = setTimeout(() => lose(new DunenaError(`No answer from ${root}`)), 2 * BEAT_MS);
    become("connecting");
    try {
      const body = JSON.stringify({ token });
      const session = { method: "POST", mode: "no-cors", credentials: "include", body, signal };
      if (token && IS_PAGE) await fetch(at("session"), session);
      // A page is not told why its WebSocket was refused.
      valueMax = (await load("info", signal)).maxValueBytes;
      const Socket = options.WebSocket ?? globalThis.WebSocket ?? (await socketClass());
      if (!signal.aborted) openSocket(Socket);
    } catch (error) {
      if (!signal.aborted) lose(error);
    }
  }

  function openSocket(Socket) {
    const address = at("ws?protocol=auto").href.replace(/^http/, "ws");
    socket = new Socket(address, IS_PAGE ? undefined : { headers });
    socket.onopen = opened;
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = () => lose();
    socket.onerror = () => {};
  }

  function opened() {
    isHeard = true;
    ping(); // first, as an action: without it all events come
    if (listeners.size) sendEvents();
    // An empty transaction tells the epoch of this very server.
    send(makeRequest("txn", { ops: [] }, ({ result }) => begin(result.epoch), lose));
  }

  function begin(serverEpoch) {
    epoch = serverEpoch;
    clearTimeout(timer);
    timer = setInterval(beat, BEAT_MS);
    store.error = null;
    topics.forEach(follow);
    waiting.splice(0).forEach(send);
    become("open");
  }

  function beat() {
    if (!isHeard && !(socket.bufferedAmount < unsent)) return lose();
    isHeard = false;
    unsent = socket.bufferedAmount;
    failures = 0;
    for (const topic of topics.values()) if (topic.isRefused) follow(topic);
    ping();
  }

  function lose(error) {
    // A failed fetch is a TypeError: no error if away.
    const isAway = error?.name === "TypeError";
    if (isAway) error = new DunenaError(awayText(root));
    if (error && error.message !== store.error?.message) {
      store.error = error;
      if (isAway) console.warn(error.message);
      else onError(error);
    }
    drop();
    const pause = Math.min(PAUSE_MS * 2 ** failures++, PAUSE_MS_MAX);
    timer = setTimeout(open, pause * (0.5 + Math.random() / 2));
    become("waiting");
  }

  function drop() {
    clearTimeout(timer);
    attempt.abort();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      (socket.terminate ?? socket.close).call(socket);
    }
    waiting = [...sent.values()].filter((request) => request.isKept).concat(waiting);
    sent.clear();
    if (canWait()) return;
    for (const { reject } of waiting.splice(0)) reject(lostError());
  }

  const store = {
    error: null,
    get status() {
      return status;
    },
    onStatus(callback) {
      queueMicrotask(() => call(callback, status));
      return listen(statusListeners, callback);
    },
    now: () => Math.round(performance.now() + clock.offset),
    async get(key, { path = "", ...more } = {}) {
      const names = namesOf(path);
      const found = await ask("get", { ...more, key, rev: true });
      const value = partOf(found.value, names);
      return more.rev ? { value, rev: found.rev, epoch: found.epoch } : value;
    },
    async mget(keys, more) {
      const pairs = keys.map(async (key) => [key, await store.get(key, more)]);
      return Object.fromEntries(await Promise.all(pairs));
    },
    async set(key, value, more) {
      const fields = { ...more, key, value };
      if (fields.path || "ifRev" in fields) return change("set", "rev", fields);
      return (await ask("set", fields)).result.rev;
    },
    async mset(entries, more) {
      const pairs = entriesOf("mset", entries);
      await Promise.all(pairs.map(([key, value]) => store.set(key, value, more)));
    },
    delete: (key, more) => change("delete", "deleted", { ...more, key }),
    async merge(key, value, more) {
      entriesOf("merge", value);
      return change("merge", "value", { ...more, key, value, return: true });
    },
    patch: (key, patch, more) => change("patch", "value", { ...more, key, patch, return: true }),
    incr: (key, by, more) => change("incr", "value", { ...more, key, by }),
    append: (key, value, more) => change("append", "length", { ...more, key, value }),
    touch: (key, ttl, more) => change("touch", "rev", { ...more, key, ttl }),
    timer: (key, action, more) => change("timer", "value", { ...more, key, do: action }),
    revert: (key, more) => change("revert", "value", { ...more, key }),
    txn: (ops, more) => change("txn", "results", { ...more, ops }),
    history: async (key, more) => (await ask("history", { ...more, key })).result.entries,
    async update(key, makeNext, more) {
      for (;;) {
        const { value, rev, epoch } = await store.get(key, { ...more, rev: true });
        const next = await makeNext(value);
        if (next === undefined) return value;
        try {
          await store.set(key, next, { ...more, ifRev: rev, epoch });
          return next;
        } catch (error) {
          if (error.code !== "conflict") throw error;
        }
      }
    },
    async keys(pattern = "*", more) {
      await ask("ping"); // what was sent before is done
      const query = { pattern, ns: spaceOf(more), cursor: 0, count: 1000 };
      for (const found = []; ; ) {
        const page = await load(`keys?${new URLSearchParams(query)}`);
        found.push(...page.keys);
        if (!(query.cursor = page.cursor)) return found;
      }
    },
    watch,
    events(callback) {
      const stop = listen(listeners, callback);
      if (status === "open") sendEvents();
      return () => stop() && status === "open" && sendEvents();
    },
    close() {
      become("closed");
      drop();
      unbind?.();
    },
  };
  open();
  const page = options.bind ?? globalThis.document;
  const formats = { timer: (value) => timerText(value, store.now()), ...options.format };
  const unbind = page && bindPage(store, page, formats, onError);
  return store;
}

// --- data-bind ---

const SOURCE = /^\s*(?:'([^']*)'|([^.|]*?))\s*(?:\.([^|]*?))?\s*(?:\|\s*(\S+)\s*)?$/;

function bindPage(store, root, formats, onError) {
  const bound = new Map(); // element -> functions that end it

  function follow(element, text, attribute, source = "") {
    const [, quoted, plain, path = "", format] = SOURCE.exec(source) ?? [];
    const isUnknown = format && !formats[format];
    if (isUnknown || !(quoted || plain)) {
      const why = isUnknown ? `no format ${format} in ${Object.keys(formats)}` : "not key | format";
      onError(new DunenaError(`data-bind "${text}": ${why}`));
      return [];
    }
    const names = path.split(".").filter(Boolean);
    let whole, frame;
    let original; // the text in the page
    function show() {
      let value = partOf(whole, names);
      const isRunning = format && value?.timer?.running;
      if (value !== null && format) value = formats[format](value, element);
      if (isRunning) frame = requestAnimationFrame(show);
      if (value === null && !original) return;
      const written = element.getAttribute(attribute || "value");
      original ??= [written ?? (attribute ? null : element.textContent)];
      put(element, attribute, value ?? original[0]);
    }
    const stop = store.watch(quoted ?? plain, (value) => {
      cancelAnimationFrame(frame);
      whole = value;
      show();
    });
    return [stop, () => cancelAnimationFrame(frame)];
  }

  function take(element) {
    const { bind, bindAttr = "" } = element.dataset;
    const pairs = [...bindAttr.matchAll(/([^:;\s]+)(?:\s*:([^;]*)|[^;]*)/g)];
    if (bind) pairs.push([bind, "", bind]);
    bound.set(element, pairs.flatMap((pair) => follow(element, ...pair)));
  }

  function look() {
    for (const [element, stops] of bound)
      if (!root.contains(element) && bound.delete(element)) for (const stop of stops) stop();
    for (const element of root.querySelectorAll("[data-bind], [data-bind-attr]"))
      if (!bound.has(element)) take(element);
  }

  const observer = new MutationObserver(look);
  observer.observe(root, { subtree: true, childList: true });
  look();
  return () => {
    observer.disconnect();
    for (const stops of bound.values()) for (const stop of stops) stop();
  };
}

// A countdown shows 0:00 when it is over, not a second before.
function timerText(value, now) {
  if (!value.timer) return value;
  const { at, ms, rate, running } = value.timer;
  const shown = (running ? ms + rate * (now - at) : ms) / 1000;
  const seconds = rate < 0 ? Math.max(Math.ceil(shown), 0) : Math.floor(shown);
  const rest = `${Math.abs(seconds) % 60}`.padStart(2, "0");
  return `${seconds < 0 ? "-" : ""}${Math.floor(Math.abs(seconds) / 60)}:${rest}`;
}

function put(element, attribute, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // What is stored is data and must not become code.
  const isCode = /^(on|srcdoc)|:\W*javascript:/i.test(`${attribute}:${text.replace(/\s/g, "")}`);
  if (attribute) {
    if (value === null || value === false || isCode) element.removeAttribute(attribute);
    else element.setAttribute(attribute, value === true ? "" : text);
  } else if (!element.matches("input, select, textarea")) {
    if (element.textContent !== text) element.textContent = text;
  } else if (element !== document.activeElement) element.value = text;
}

export { connect, DunenaError };

// dunena's client. Classic: /dunena.classic.js; types: /dunena.d.ts

const HERE = import.meta.url;
const IS_PAGE = !globalThis.process?.versions?.node; // its WebSocket has no headers
const NODE_SOCKET = "ws"; // bundlers leave it out
const BEAT_MS = 4000; // dead after two silent beats
const PAUSE_MS = 200;
const PAUSE_MS_MAX = 5000;
const WAITING_MAX = 10_000;

class DunenaError extends Error {
  name = "DunenaError";
}

function awayText(root) {
  const text = `No server at ${root}; start dunena there`;
  // The fetch of a refused page fails too.
  const { origin } = globalThis; // null for file://
  if (!origin || root.startsWith(`${origin}/`)) return text;
  const button = origin === "null" ? ` or the button at ${root}test` : "";
  return `${text}, or let this page in: --allow-origin ${origin}${button}`;
}

const patternText = (key) =>
  `There is no key ${key}, and watch takes no patterns: keys("${key}") lists them, ` +
  "events() tells each change";

function entriesOf(call, value) {
  if ({}.toString.call(value) === "[object Object]") return Object.entries(value);
  throw new TypeError(`${call} takes an object`);
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
  const topics = new Map();
  const statusListeners = new Set();
  const listeners = new Set();
  let status, attempt, socket, timer;
  let sent = []; // without an answer, oldest first
  let waiting = [];
  let lastId = 0, failures = 0, unsent = 0, isHeard = false, valueMax;
  let merging = Promise.resolve();

  const canWait = () => options.whileAway !== "refuse" && status !== "closed";
  const spaceOf = (more) => more?.ns ?? options.ns ?? "";
  const nameOf = (key, more) => JSON.stringify([spaceOf(more), key]);
  const frame = (action, key, more, rest) =>
    JSON.stringify({ action, key, ns: spaceOf(more) || undefined, ...rest });

  function call(callback, value) {
    try {
      callback(value);
    } catch (error) {
      onError(error);
    }
  }

  // A request is frames and a ping: an error before its pong is its own.

  function ask(...frames) {
    return new Promise((resolve, reject) => {
      const request = { frames, resolve, reject, isKept: true };
      if (status === "open") send(request);
      else if (canWait() && waiting.length < WAITING_MAX) waiting.push(request);
      else reject(new DunenaError("Not connected"));
    });
  }

  function send(request) {
    const max = 6 * valueMax + 65_536; // of a message
    if (request.frames.some((text) => text.length * 3 > max && new Blob([text]).size > max))
      return request.reject?.(new DunenaError(`Value exceeds max size (${valueMax} bytes)`));
    request.id = ++lastId;
    request.error = null;
    sent.push(request);
    for (const text of [...request.frames, `{"type":"ping","id":${lastId}}`]) socket.send(text);
  }

  const tellServer = (text) => status === "open" && send({ frames: [text] });

  function settle(id) {
    let text;
    while (sent[0]?.id <= id) {
      const request = sent.shift();
      // A ping that was refused has no pong: the next one answers for it.
      text = request.error ?? (request.id < id ? text : null);
      if (text) request.reject?.(new DunenaError(text));
      else request.resolve?.();
    }
  }

  function receive(message) {
    isHeard = true;
    const { type, event, key, ns = "" } = message;
    const [head] = sent;
    if (type === "pong") settle(message.id);
    else if (event) for (const callback of listeners) call(callback, message);
    else if ("value" in message) {
      const topic = topics.get(nameOf(key, { ns }));
      if (topic?.isLive || (topic && topic === head?.topic)) show(topic, message.value);
    } else if (head && (!type || type === "error")) head.error ??= message.error ?? message.data;
  }

  function follow(topic) {
    topic.isRefused = false;
    const frames = [frame("subscribe", topic.key, topic)];
    const resolve = () => topic.isLive || show(topic, null);
    const reject = (error) => {
      topic.isRefused = true;
      for (const watcher of topic.watchers) watcher.onError(error);
    };
    send({ topic, frames, resolve, reject });
  }

  function show(topic, value) {
    const text = JSON.stringify(value);
    const isNews = topic.isLive || text !== topic.text;
    Object.assign(topic, { isLive: true, text });
    if (isNews) for (const watcher of topic.watchers) tell(topic, watcher);
  }

  function tell(topic, watcher) {
    if (watcher.isGlob && !watcher.isTold && topic.text === "null")
      call(watcher.onError, new DunenaError(patternText(topic.key)));
    watcher.isTold = true;
    if (topic.watchers.has(watcher)) call(watcher.callback, JSON.parse(topic.text));
  }

  function watch(key, callback, more) {
    const name = nameOf(key, more);
    const topic = topics.get(name) ?? { key, ns: spaceOf(more), watchers: new Set() };
    const watcher = { callback, onError, isGlob: /[*?]/.test(key), ...more };
    topic.watchers.add(watcher);
    topics.set(name, topic);
    if (status === "open" && topic.isRefused !== false) follow(topic);
    queueMicrotask(() => topic.text && !watcher.isTold && tell(topic, watcher));
    return () => {
      if (!topic.watchers.delete(watcher) || topic.watchers.size) return;
      topics.delete(name);
      tellServer(frame("unsubscribe", key, topic));
    };
  }

  // Subscribes briefly: a get's answer would look like an update.
  async function read(keys, more) {
    const values = new Map();
    const errors = [];
    const own = { ...more, isGlob: false, onError: (error) => errors.push(error) };
    const stops = keys.map((key) => watch(key, (value) => values.set(key, value), own));
    await ask().finally(() => stops.forEach((stop) => stop()));
    for (const error of errors) throw error;
    return values;
  }

  const setFrame = (key, value, { ttl, durable, ns } = {}) =>
    frame("set", key, { ns }, { value, ttl, durable });

  const listen = (all, callback) => {
    all.add(callback);
    return () => all.delete(callback);
  };

  const eventsFrame = () =>
    `{"type":"${listeners.size ? "" : "un"}subscribe","channel":"cache-events"}`;
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
    clearTimeout(timer);
    timer = setInterval(beat, BEAT_MS);
    isHeard = true;
    store.error = null;
    socket.send(eventsFrame());
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
    send({ frames: [] });
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
    for (const topic of topics.values()) topic.isLive = false;
    waiting = [...sent.filter((request) => request.isKept), ...waiting];
    sent = [];
    if (canWait()) return;
    for (const { reject } of waiting.splice(0)) reject(new DunenaError("Connection lost"));
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
    get: async (key, more) => (await read([key], more)).get(key),
    mget: async (keys, more) => Object.fromEntries(await read(keys, more)),
    set: async (key, value, more) => ask(setFrame(key, value, more)),
    mset: async (entries, more) =>
      ask(...entriesOf("mset", entries).map(([key, value]) => setFrame(key, value, more))),
    delete: async (key, more) => ask(frame("delete", key, more)),
    merge(key, fields, more) {
      const merged = merging.then(async () => {
        entriesOf("merge", fields);
        const old = await store.get(key, more);
        const value = { ...(old?.constructor === Object && old), ...fields };
        await store.set(key, value, more);
        return value;
      });
      merging = merged.catch(() => {});
      return merged;
    },
    async keys(pattern = "*", more) {
      await ask();
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
      tellServer(eventsFrame());
      return () => stop() && tellServer(eventsFrame());
    },
    close() {
      become("closed");
      drop();
      unbind?.();
    },
  };
  open();
  const page = options.bind ?? globalThis.document;
  const unbind = page && bindPage(store, page, options.format ?? {}, onError);
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
    let original; // the text in the page
    return store.watch(quoted ?? plain, (whole) => {
      let value = whole;
      for (const name of path.split(".").filter(Boolean))
        value = value !== null && Object.hasOwn(Object(value), name) ? value[name] : null;
      if (value !== null && format) value = formats[format](value, element);
      if (value === null && !original) return;
      const written = element.getAttribute(attribute || "value");
      original ??= [written ?? (attribute ? null : element.textContent)];
      put(element, attribute, value ?? original[0]);
    });
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
  return () => observer.disconnect();
}

function put(element, attribute, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // What is stored is data and must not become code.
  const isCode = /^(on|srcdoc)|:\W*javascript:/i.test(`${attribute}:${text.replace(/\s/g, "")}`);
  if (attribute) {
    if (value === null || value === false || isCode) element.removeAttribute(attribute);
    else element.setAttribute(attribute, value === true ? "" : text);
  } else if (!element.matches("input, select, textarea")) element.textContent = text;
  else if (element !== document.activeElement) element.value = text;
}

export { connect, DunenaError };

// dunena's client. Classic: /dunena.classic.js; types: /dunena.d.ts

const HERE = import.meta.url;
const IS_PAGE = !globalThis.process?.versions?.node; // sends no headers
const NODE_SOCKET = "ws"; // bundlers leave it out
const BEAT_MS = 4000; // dead after two silent beats
const BEAT_MS_MIN = 500; // whatever timeout a session asks for
const PAUSE_MS = 200;
const PAUSE_MS_MAX = 5000;
const WAITING_MAX = 10_000;
const RESEND_MS_MAX = 100_000; // answers are remembered longer
const DRIFT_MS = 5; // of two clocks in a beat
const TICK_MS = 50;
const REPORTS_MAX = 20;

// Options of calls; all take ns.
const WRITE = "ttl then durable ephemeral";
const CHANGE = `${WRITE} path ifRev epoch idempotencyKey`;
const OP = `${CHANGE} op key value values patch by do return min max ms rate toRev`;

class DunenaError extends Error {
	name = "DunenaError";

	constructor(text, details) {
		super(text);
		Object.assign(this, details); // code, key, rev, op
	}
}

// The fetch of a refused page fails too.
function awayText(root) {
	const { origin } = globalThis; // "null" for file://
	const text = `No server at ${root}; start dunena there`;
	if (!origin || root.startsWith(`${origin}/`)) return text;
	const button = origin === "null" ? ` or the button at ${root}test` : "";
	return `${text}, or let this page in: --allow-origin ${origin}${button}`;
}

const isObject = (value) => ({}).toString.call(value) === "[object Object]";

function objectOf(what, value) {
	if (isObject(value)) return value;
	throw new TypeError(`${what} must be an object`);
}

// A misspelt condition would be none.
function checked(call, options = {}, names = "", fields) {
	for (const name in objectOf(`options of ${call}`, options))
		if (!`ns ${names}`.split(" ").includes(name))
			throw new TypeError(`${call} has no option ${name}`);
	return { ...options, ...fields };
}

const checkOps = (ops) => ops?.forEach?.((op) => checked(op?.op, op, OP));

let reports; // how many, once errors are listened for

// Shown under Pages.
function report(at, page, { message, reason, filename = "", lineno }) {
	if (++reports > REPORTS_MAX) return;
	const where = filename && `${filename.replace(at("./").href, "")}:${lineno}`;
	const body = JSON.stringify({ page, text: `${message ?? reason}`, where });
	fetch(at("page-errors"), { method: "POST", body }).catch(() => {});
}

function connect(url, options = {}) {
	if (url?.constructor === Object) return connect(undefined, url);
	const names = "whileAway token onError bind format session WebSocket";
	const { onError: complain = console.error, token, session } = checked("connect", options, names);
	checkOps(checked("session", session, "timeout grace name will").will);
	const home = url
		? `${url}`.replace(/^(?!.*\/\/)/, "http://").replace(/([^/])(\/ws)?\/*$/, "$1/")
		: /^http/.test(HERE) ? HERE : "http://localhost:3000";
	const at = (path) => new URL(path, home.replace(/^ws/, "http"));
	const root = at("./").href;
	const headers = token ? { Authorization: `Bearer ${token}` } : {};
	const { top, location = "" } = globalThis;
	const isOwn = top === globalThis && `${location}`.startsWith(root);
	const ownPage = isOwn ? `${location}`.slice(root.length).replace(/[?#].*/, "") : "";
	const onError = (error) => {
		complain(error);
		if (ownPage) report(at, ownPage, { reason: error });
	};
	if (ownPage && reports === undefined) {
		reports = 0;
		for (const name of ["error", "unhandledrejection"])
			addEventListener(name, (event) => report(at, ownPage, event));
	}
	const client = crypto.getRandomValues(new Uint32Array(3)).join("-");
	const topics = new Map();
	const sent = new Map(); // without an answer, by id
	const presences = new Map();
	const listeners = new Set();
	const beatMs = Math.max(BEAT_MS_MIN, Math.min(BEAT_MS, session?.timeout / 3 || BEAT_MS));
	let status, attempt, socket, timer, valueMax, epoch, secret;
	const waiting = [];
	let lastId = 0, failures = 0, unsent = 0, isHeard = false, isSessionDue = false;
	let clock = { offset: performance.timeOrigin, error: Infinity };

	const canWait = () => options.whileAway !== "refuse" && status !== "closed";
	const spaceOf = (more) => more?.ns ?? options.ns ?? "";
	// Of a cluster whose store is away for now.
	const isPassing = ({ code }) => code === "unavailable" || code === "unknown";
	const lostError = () => new DunenaError("Connection lost", { code: "unknown" });

	function call(callback, ...values) {
		try {
			callback(...values);
		} catch (error) {
			onError(error);
		}
	}

	function ask(action, fields, isNow) {
		return new Promise((resolve, reject) => {
			const id = ++lastId;
			const text = JSON.stringify({ action, ...fields, ns: spaceOf(fields), id });
			const age = action === "publish" ? 0 : fields?.idempotencyKey ? RESEND_MS_MAX : Infinity;
			const request = { id, text, age, isNow, resolve, reject };
			if (isNow || status === "open") send(request);
			else if (canWait() && waiting.length < WAITING_MAX) waiting.push(request);
			else reject(new DunenaError("Not connected", { code: "away" }));
		});
	}

	// By its key the server knows a change that comes again.
	async function change(action, answer, more, own, names = "") {
		const fields = checked(action, more, `${CHANGE} ${names}`, own);
		const isPlain = action === "set" && !fields.path && !("ifRev" in fields);
		const idempotencyKey = isPlain ? undefined : `${client}-${lastId}`;
		return (await ask(action, { idempotencyKey, ...fields })).result[answer];
	}

	function send(request) {
		const { id, text, age, reject } = request;
		const max = 6 * valueMax + 65_536; // of a message
		const tooLarge = `Value exceeds max size (${valueMax} bytes)`;
		if (text.length * 3 > max && new Blob([text]).size > max)
			return reject(new DunenaError(tooLarge, { code: "limit" }));
		const now = performance.now();
		const first = (request.first ??= { epoch, now });
		if (now - first.now > age || (age < Infinity && first.epoch !== epoch))
			return reject(lostError());
		sent.set(id, request);
		socket.send(text);
	}

	function receive({ id, error, ...message }) {
		isHeard = true;
		// What is refused unread has no id; answers come in order.
		if (error) id ??= sent.keys().next().value;
		const request = sent.get(id);
		sent.delete(id);
		if (message.update) takeUpdate(message.update, id);
		if (message.event) hear(message);
		else if (error) request?.reject(new DunenaError(error, message));
		else request?.resolve(message);
	}

	function ping() {
		const start = performance.now();
		const setClock = ({ pong }) => {
			const error = (performance.now() - start) / 2;
			clock.error += DRIFT_MS;
			if (error < clock.error) clock = { error, offset: pong.timestamp - start - error };
		};
		ask("ping", {}, true).then(setClock, () => {});
	}

	function hear(message) {
		const { channel, event, data } = message;
		const name = JSON.stringify({ channel: channel === "cache" ? "cache-events" : channel });
		for (const watcher of topics.get(name)?.watchers ?? []) {
			const { missed } = watcher;
			watcher.missed = event === "gap" ? missed + data.missed : 0;
			if (event !== "gap") call(watcher.callback, structuredClone(data), { ...message, missed });
		}
	}

	function resume() {
		const will = session?.will?.map((op) => ({ ns: spaceOf(), ...op }));
		const renew = ({ result } = {}) => {
			secret = result?.resume;
			for (const presence of presences.values())
				if (presence.isTold && !result?.resumed) showAgain(presence);
		};
		isSessionDue = false;
		const fields = { ...session, will, resume: secret };
		const request = session ? ask("session", fields, true) : Promise.resolve();
		// One step: before other answers.
		request.then(renew, (error) => {
			onError(error);
			isSessionDue = isPassing(error);
			if (!isSessionDue) renew();
		});
	}

	function show(presence) {
		presence.isTold = false;
		return ask("set", presence.fields).finally(() => (presence.isTold = true));
	}

	function showAgain(presence) {
		presence.isDue = false;
		show(presence).catch((error) => {
			presence.isDue = isPassing(error);
			onError(error);
		});
	}

	function follow(topic) {
		const { action, selector, maxRate, since } = topic;
		ask(action, { ...selector, maxRate, since }, true).catch((error) => {
			topic.isRefused = true;
			for (const watcher of topic.watchers) watcher.onError(error);
		});
		Object.assign(topic, { awaited: lastId, isRefused: false, isLive: false, parts: null });
	}

	function takeUpdate({ reset, changes, more, epoch, rev, ns = "", ...selector }, id) {
		const topic = topics.get(JSON.stringify({ ns, ...selector })); // as it was sent
		// Updates before its answer are of an earlier watch.
		if (topic && topic.awaited === id) topic.parts = new Map();
		if (!topic?.parts) return;
		const { entries, parts, since, watchers } = topic;
		if (reset) {
			topic.isLive = false;
			parts.clear();
			for (const key of entries.keys()) parts.set(key, { key, rev, event: "delete" });
		}
		for (const change of changes) parts.set(change.key, change);
		if (more) return;
		const news = [];
		for (const change of parts.values()) {
			const { key, value, event } = change;
			const isOther = JSON.stringify(value) !== JSON.stringify(entries.get(key)?.value);
			if (isOther || (topic.isLive && !event)) news.push(change);
			if (event) entries.delete(key);
			else entries.set(key, change);
		}
		Object.assign(topic, { isLive: true, since: { epoch, rev }, parts: new Map() });
		if (news.length || !since) for (const watcher of watchers) tell(topic, watcher, news);
	}

	function tell({ selector: { key }, entries, watchers }, watcher, news) {
		if (!watchers.has(watcher)) return;
		const changes = structuredClone(watcher.values ? news : [...entries.values()]);
		const values = (watcher.values ??= Object.create(null));
		for (const change of changes)
			if (change.event) delete values[change.key];
			else values[change.key] = change.value;
		call(watcher.callback, key === undefined ? values : (values[key] ?? null), changes);
	}

	function watch(what, callback, more) {
		if (what?.constructor !== Object) what = { key: what };
		what = checked("watch", { ...what, ...more }, "key keys pattern path maxRate onError");
		const { key, keys, pattern, path, maxRate, ...own } = { onError, ...what };
		const selector = { ns: spaceOf(own), key, keys, pattern, path };
		return attach("watch", selector, { ...own, callback }, maxRate);
	}

	const subscribe = (channel, callback, more) =>
		attach("subscribe", { channel },
			{ onError, ...checked("subscribe", more, "onError", { callback, missed: 0 }) });

	function attach(action, selector, watcher, maxRate) {
		const name = JSON.stringify(selector);
		const topic = topics.get(name) ??
			{ action, selector, maxRate, watchers: new Set(), entries: new Map() };
		topic.watchers.add(watcher);
		topics.set(name, topic);
		if (status === "open" && topic.isRefused !== false) follow(topic);
		queueMicrotask(() => topic.since && !watcher.values && tell(topic, watcher));
		return () => {
			if (!topic.watchers.delete(watcher) || topic.watchers.size) return;
			topics.delete(name);
			if (status !== "open") return;
			socket.send(JSON.stringify({ action: `un${action}`, ...selector }));
			ping(); // gets the error of a refusal
		};
	}

	function become(next) {
		status = next;
		for (const callback of listeners) call(callback, status);
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
		timer = setTimeout(lose, 2 * BEAT_MS, new DunenaError(`No answer from ${root}`));
		become("connecting");
		try {
			const body = JSON.stringify({ token });
			const login = { method: "POST", mode: "no-cors", credentials: "include", body, signal };
			if (token && IS_PAGE) await fetch(at("session"), login);
			// A WebSocket is not told why it was refused.
			({ maxValueBytes: valueMax, epoch } = await load("info", signal));
			const Socket =
				options.WebSocket ?? globalThis.WebSocket ?? (await import(NODE_SOCKET)).WebSocket;
			if (signal.aborted) return;
			const named = ownPage && `&page=${encodeURIComponent(ownPage)}`;
			const address = at(`ws?protocol=auto${named}`).href.replace(/^http/, "ws");
			socket = new Socket(address, IS_PAGE ? [] : { headers });
			socket.onopen = opened;
			socket.onmessage = ({ data }) => receive(JSON.parse(data));
			socket.onclose = () => lose();
			socket.onerror = () => {};
		} catch (error) {
			if (!signal.aborted) lose(error);
		}
	}

	function opened() {
		clearTimeout(timer);
		timer = setInterval(beat, beatMs);
		store.error = null;
		resume();
		ping();
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
		if (isSessionDue) resume();
		else for (const presence of presences.values()) if (presence.isDue) showAgain(presence);
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

	function drop(code = 4000) { // 1000: for good
		clearTimeout(timer);
		attempt.abort();
		if (socket) {
			socket.onopen = socket.onmessage = socket.onclose = null;
			socket.close(code);
			setTimeout((old) => old.terminate?.(), BEAT_MS, socket).unref?.();
		}
		for (const { watchers } of topics.values())
			for (const watcher of watchers) watcher.missed = Infinity;
		waiting.unshift(...[...sent.values()].filter(({ isNow }) => !isNow));
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
			listeners.add(callback);
			return () => listeners.delete(callback);
		},
		now: () => performance.now() + clock.offset,
		async get(key, more) {
			const fields = checked("get", more, "rev", { key, rev: true });
			const { value, rev, epoch } = await ask("get", fields);
			return more?.rev ? { value, rev, epoch } : value;
		},
		async mget(keys, more) {
			checked("mget", more);
			const pairs = keys.map(async (key) => [key, await store.get(key, more)]);
			return Object.fromEntries(await Promise.all(pairs));
		},
		set: (key, value, more) => change("set", "rev", more, { key, value }),
		async mset(entries, more) {
			checked("mset", more, WRITE);
			const set = ([key, value]) => store.set(key, value, more);
			await Promise.all(Object.entries(objectOf("entries", entries)).map(set));
		},
		delete: (key, more) => change("delete", "deleted", more, { key }),
		merge: async (key, fields, more) =>
			change("merge", "value", more, { key, value: objectOf("fields", fields), return: true }),
		incr: (key, by, more) => change("incr", "value", more, { key, by }, "min max"),
		append: (key, value, more) => change("append", "length", more, { key, value }, "max"),
		timer: (key, action, more) => change("timer", "value", more, { key, do: action }, "ms rate"),
		revert: (key, more) => change("revert", "value", more, { key }, "toRev"),
		async txn(ops, more) {
			checkOps(ops);
			return change("txn", "results", checked("txn", more, "durable idempotencyKey"), { ops });
		},
		async history(key, more) {
			const fields = checked("history", more, "limit", { key });
			return (await ask("history", fields)).result.entries;
		},
		async update(key, makeNext, more) {
			const { ns } = checked("update", more, WRITE);
			const { value, rev, epoch } = await store.get(key, { ns, rev: true });
			const next = await makeNext(value);
			if (next === undefined) return value;
			try {
				await store.set(key, next, { ...more, ifRev: rev, epoch });
			} catch (error) {
				if (error.code !== "conflict") throw error;
				return store.update(key, makeNext, more);
			}
			return next;
		},
		async keys(pattern = "*", more) {
			const query = { pattern, ns: spaceOf(checked("keys", more)), count: 1000 };
			await ask("ping"); // after what was sent
			for (const found = []; ; ) {
				const page = await load(`keys?${new URLSearchParams(query)}`);
				found.push(...page.keys);
				if (!(query.cursor = page.cursor)) return found;
			}
		},
		watch,
		subscribe,
		events: (callback) => subscribe("cache-events", (_, event) => callback(event)),
		publish: (channel, data) => ask("publish", { channel, data }),
		async present(key, state, more) {
			const ns = spaceOf(checked("present", more)), place = `${ns}\n${key}`;
			const before = presences.get(place) ?? {};
			presences.delete(place);
			if (state === null) return ask("delete", { ns, key });
			const old = before.fields?.value;
			const value = isObject(old) && isObject(state) ? { ...old, ...state } : state;
			const presence = { fields: { ns, key, value, ephemeral: true } };
			presences.set(place, presence);
			try {
				await show(presence);
			} catch (error) {
				if (presences.get(place) === presence) presences.set(place, before);
				throw error;
			}
		},
		close() {
			become("closed");
			drop(1000);
			unbind?.();
		},
	};
	open();
	const page = options.bind ?? globalThis.document;
	const formats = { timer: (value) => timerText(value, store.now()), ...options.format };
	const unbind = page && bindPage(store, page, formats, onError);
	return store;
}

const SOURCE = /^\s*(?:'([^']*)'|([^.|]*?))\s*(?:\.([^|]*?))?\s*(?:\|\s*(\S+)\s*)?$/;

function bindPage(store, root, formats, onError) {
	const bound = new Map(); // element -> functions that end it

	function follow(element, text, attribute, source = "") {
		const [, quoted, plain, path = "", name] = SOURCE.exec(source) ?? [];
		const format = name ? formats[name] : (value) => value;
		if (!format || !(quoted || plain)) {
			const why = format ? "not key | format" : `no format ${name} in ${Object.keys(formats)}`;
			onError(new DunenaError(`data-bind "${text}": ${why}`));
			return [];
		}
		const names = path.split(".").filter(Boolean);
		let original, ticking;
		function show(whole) {
			clearTimeout(ticking);
			let part = whole;
			for (const member of names)
				part = part !== null && Object.hasOwn(Object(part), member) ? part[member] : null;
			const value = part === null ? null : format(part, element);
			if (name && part?.timer?.running) ticking = setTimeout(show, TICK_MS, whole);
			if (value === null && !original) return;
			const written = element.getAttribute(attribute || "value");
			original ??= [written ?? (attribute ? null : element.textContent)];
			put(element, attribute, value ?? original[0]);
		}
		return [store.watch(quoted ?? plain, show), () => clearTimeout(ticking)];
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

function timerText(value, now) {
	if (!value.timer) return value;
	const { at, ms, rate, running } = value.timer;
	const shown = (running ? ms + rate * (now - at) : ms) / 1000;
	// A countdown shows 0:00 only when it has ended.
	const seconds = rate < 0 ? Math.max(Math.ceil(shown), 0) : Math.floor(shown);
	const rest = `${Math.abs(seconds % 60)}`.padStart(2, "0");
	return `${seconds < 0 ? "-" : ""}${Math.floor(Math.abs(seconds) / 60)}:${rest}`;
}

function put(element, attribute, value) {
	const text = typeof value === "string" ? value : JSON.stringify(value);
	// Stored data must not become code.
	const isCode = /^(on|srcdoc)|:\W*javascript:/i.test(`${attribute}:${text.replace(/\s/g, "")}`);
	if (attribute) {
		if (value === null || value === false || isCode) element.removeAttribute(attribute);
		else element.setAttribute(attribute, value === true ? "" : text);
	} else if (!element.matches("input, select, textarea")) {
		if (element.textContent !== text) element.textContent = text;
	} else if (element !== document.activeElement) element.value = text;
}

export { connect, DunenaError };

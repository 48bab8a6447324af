// The view of the server: addresses, state, connections and refused origins.

import { copyButton } from "../lib/copy.js";
import { byId, button, element, say, setText } from "../lib/dom.js";
import { count, duration, size, whole } from "../lib/format.js";
import { programName } from "../lib/program.js";
import { AWAY } from "../net/api.js";

const REFRESH_MS = 2000;
const CHECKS = {
  storage: "Writing", files: "Files", watch: "Hand edits", textFiles: "Text files",
  connections: "Connections", sessions: "Sessions", store: "Store",
};
const quiet = (text, tag = "p") => element(tag, { class: "quiet" }, text);
const copyLine = (text, name = text, tag = "div") => element(tag, { class: "copy-line" },
  element("code", {}, text), copyButton(name, () => text));
const who = (...parts) => element("div", { class: "who" }, ...parts);

export class ServerView {
  #api;
  #letIn;
  #updates = null; // whether there is a newer version, loaded when the view is shown first
  #sharing = null; // the part with addresses, loaded when it is shown
  #isShown = false;
  #isAsking = false;
  #drawnAt = ""; // the time of day at which the server answered last
  #drawn = new Map(); // part -> the data it was drawn from

  // letIn(boolean) returns a promise.
  constructor(api, letIn) {
    this.#api = api;
    this.#letIn = letIn;
    setInterval(() => {
      if (!document.hidden) this.refresh();
    }, REFRESH_MS);
  }

  show(isShown) {
    this.#isShown = isShown;
    this.refresh();
    if (isShown) this.#loadPanels();
  }

  // Loads what only this view needs when it is shown first, or again if that failed.
  async #loadPanels() {
    const root = byId("server-backup");
    const loaded = await import("./backup.js").catch(() => null);
    if (loaded && !root.hasChildNodes()) new loaded.Backup(this.#api, root);
    const updates = await import("./updatecheck.js").catch(() => null);
    if (updates) this.#updates ??= new updates.UpdateCheck(this.#api, byId("server-updates"));
  }

  async refresh() {
    if (!this.#isShown || this.#isAsking) return;
    this.#isAsking = true;
    try {
      this.#sharing ??= await loadSharing(this.#api, () => this.refresh());
      const [server, stats, health, sharing] = await Promise.all([
        this.#api.ask("server"), this.#api.ask("stats"), this.#api.health(), this.#api.ask("sharing")]);
      this.#draw(server, stats, health, sharing);
      this.#drawnAt = new Date().toLocaleTimeString();
      this.#say("");
    } catch (error) {
      this.#say(error.message);
    } finally {
      this.#isAsking = false;
    }
  }

  // Says why there are no new figures, if there are none: the old ones must not pass for new ones.
  #say(problem) {
    const isStale = Boolean(problem && this.#drawnAt);
    byId("view-server").classList.toggle("stale", isStale);
    byId("view-server").classList.toggle("unknown", Boolean(problem && !this.#drawnAt));
    say(byId("server-problem"),
      isStale ? `${problem} What is shown is from ${this.#drawnAt}.` : problem);
  }

  #draw(server, stats, health, sharing) {
    const { uptime, ...about } = server;
    this.#part("server-about", [about.version, about.folder, about.store, uptime],
      () => aboutRows(server));
    this.#updates?.show(about.version);
    this.#part("server-addresses", [sharing, this.#sharing.from], () => this.#sharing.rows(sharing));
    this.#part("server-health", health.checks, () => healthRows(health));
    this.#part("server-counters", stats, () => counterRows(stats));
    this.#part("server-disk", about.pagesFromDisk, () => this.#diskRows(about.pagesFromDisk));
    this.#part("server-refused", about.refusedOrigins, () => refusedRows(about.refusedOrigins));
    const { webSocket, eventStream, http, shown } = about.connections;
    const streams = eventStream ? `, ${count(eventStream, "event stream")}` : "";
    setText(byId("connections-count"), `${count(webSocket, "WebSocket")}${streams}, ${whole(http)} HTTP`);
    this.#part("server-connections", shown, () => connectionRows(shown));
    const hidden = webSocket + eventStream - shown.length;
    byId("connections-more").hidden = hidden <= 0;
    setText(byId("connections-more"),
      `The ${shown.length} that wait for most are shown; ${whole(hidden)} more are connected.`);
  }

  // Draws a part only if its data changed: a button under the pointer must not be replaced.
  #part(id, from, rows) {
    const text = JSON.stringify(from);
    if (this.#drawn.get(id) === text) return;
    this.#drawn.set(id, text);
    const focused = document.activeElement?.getAttribute("aria-label");
    const part = byId(id);
    const hadFocus = part.contains(document.activeElement);
    part.replaceChildren(...rows());
    if (hadFocus && focused) {
      [...part.querySelectorAll("button")]
        .find((one) => one.getAttribute("aria-label") === focused)?.focus();
    }
  }

  #diskRows({ letIn, always, remembered, refused, file }) {
    const words = always
      ? "Let in by --allow-origin, until the server is started without it."
      : letIn
        ? `Let in. ${remembered ? `Remembered in ${file}.` : "Until the server stops: nothing is kept."}`
        : "Refused. A browser gives pages opened from disk and sandboxed frames on any web site the"
          + " same name, null: let them in only while you need it. file:// is let in with them.";
    const act = letIn
      ? button("Refuse them again", () => this.#decide(false))
      : button("Let pages opened from disk in", () => this.#decide(true));
    return [
      element("p", {}, words),
      ...refused ? [quiet(`${count(refused, "request")} refused since the start.`)] : [],
      ...always ? [] : [act],
    ];
  }

  async #decide(letIn) {
    try {
      await this.#letIn(letIn);
    } catch (error) {
      say(byId("server-problem"), error.message);
      return;
    }
    this.refresh();
  }
}

async function loadSharing(api, redraw) {
  const { SharingPart } = await import("./sharing.js").catch(() => {
    throw new Error(AWAY);
  });
  return new SharingPart(api, redraw);
}

// Makes the rows of a definition list from pairs of term and text.
function terms(pairs) {
  return pairs.map(([term, ...value]) => element("div", { class: "term" },
    element("dt", {}, term), element("dd", {}, ...value)));
}

function aboutRows({ version, folder, store, uptime, addresses }) {
  return terms([
    ["Version", version],
    ...store ? [
      ["Store", `bucket ${store.bucket} at NATS`],
      ["Servers", `${whole(store.nodes.length)}; this is ${store.node}`],
      ["Behind by", count(store.behind, "change")],
    ] : [["Folder", ...folder === null
      ? ["none: values live until the server stops"]
      : [element("code", {}, folder), copyButton("folder", () => folder)]]],
    ["Running for", duration(uptime * 1000)],
    ["Listens on", element("code", {}, addresses.join(", "))],
  ]);
}

function healthRows({ status, checks }) {
  const badge = (state) => element("span", { class: `badge ${state}` }, state);
  return [
    ...terms([
      ["All together", badge(status)],
      ...Object.entries(CHECKS).filter(([name]) =>
        checks[name] && !(checks.store && /^(files|watch)$/.test(name))).map(([name, term]) => {
        const { status, state, reason, lastError, staleMs } = checks[name];
        const past = !reason && lastError && `last error: ${lastError}`;
        const stale = staleMs && `no answer for ${duration(staleMs)}`;
        return [term, badge(status), [state, stale, reason, past].filter(Boolean).join(": ")];
      }),
    ]),
    ...(checks.files.damaged ?? []).map(({ path, reason }) =>
      element("div", { class: "term" }, element("dt", {}, element("code", {}, path)),
        element("dd", {}, reason))),
  ];
}

function counterRows({
  cache, storage, store, channels, sessions, textFiles, latency, messages, httpRequests,
}) {
  return terms([
    ["Keys", whole(cache.currentSize)],
    ["Values", size(cache.valueBytes)],
    ["Changes", whole(cache.changes)],
    ["Reads", `${whole(cache.hits + cache.misses)}, ${Math.round(cache.hitRate * 100)} % found`],
    ["Messages", whole(messages)],
    ["HTTP requests", whole(httpRequests)],
    ["Subscriptions", whole(cache.subscriptions)],
    ["Channels", `${whole(channels.subscribed)}, ${count(channels.published, "message")}`],
    ...sessions ? [["Ephemeral keys", whole(sessions.ephemeralKeys)]] : [],
    ["Answered in", `${latency.p50Ms} ms; 99 % in ${latency.p99Ms} ms`],
    ...store ? store.commits ? [["Stored in", `${store.commitMs} ms`]] : [] : [
      ["Journal", size(storage.journalBytes)], ["Files behind", whole(storage.filesBehind)]],
    ...textFiles ? [["Text files", `${whole(textFiles.written)} written, ${whole(textFiles.failures)} failed`]] : [],
  ]);
}

function connectionRows(shown) {
  const cell = (text, kind = "") => element("td", { class: kind }, text);
  return shown.map(({
    address, origin, program, session, sessionName, dialect, subscriptions, unsentBytes,
  }) =>
    element("tr", {},
      element("td", {}, who(sessionName || "", quiet(session || "none", "code"))),
      cell(address), element("td", { title: program },
        who(origin || "no page", quiet(programName(program), "span"))),
      cell(dialect), cell(whole(subscriptions), "number"), cell(size(unsentBytes), "number")));
}

function refusedRows(refused) {
  if (!refused.length) return [quiet("No page was refused since the start.")];
  return [element("ul", {}, ...refused.map(({ origin, count: times, lastAt, option }) => {
    const when = new Date(lastAt).toLocaleTimeString();
    return element("li", { class: "refused" },
      who(element("code", {}, origin),
        quiet(`${count(times, "time")}, last at ${when}`, "span")),
      origin === "null" || origin === "file://"
        ? quiet("A page opened from disk; the button is under “Pages opened from disk”.")
        : option
          ? copyLine(option)
          : quiet("This is no origin that an option could let in."));
  }))];
}

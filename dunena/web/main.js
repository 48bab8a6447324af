// The test page: connects its parts. Each part is a module that owns some elements and does not
// know the other parts; this module passes messages between them.

import { byId, element, say, setText } from "./lib/dom.js";
import { count } from "./lib/format.js";
import { Api, AWAY } from "./net/api.js";
import { Link } from "./net/link.js";
import { PROTOCOLS } from "./net/messages.js";
import { Operations } from "./net/operations.js";
import { Composer } from "./views/composer.js";
import { ConnectionState } from "./views/connectionstate.js";
import { Events } from "./views/events.js";
import { FrameLog } from "./views/framelog.js";
import { Gate } from "./views/gate.js";
import { KeysView } from "./views/keysview.js";
import { Tabs } from "./views/tabs.js";

const INFO_MS = 2000;
const SILENT = { frame() {}, note() {} };

const log = new FrameLog();
const api = new Api();
const operations = new Operations(api, (direction, text) => log.frame("page", direction, text));
const gate = new Gate(api);

// What the user tries out in the console, in any dialect, must not affect the other views: it has a
// connection of its own.
const admit = () => gate.pass();
const liveLink = new Link("live", api, admit, SILENT);
liveLink.path = "ws?protocol=dunena";
liveLink.heartbeat = '{"type":"ping"}';
const consoleLink = new Link("console", api, admit, log);

let notice = null;
let start = null;
let pages = null;
let server = null;
let replay = null;
let wantsStart = true;
const tabs = new Tabs(byId("tabs"));
const keys = new KeysView(api, operations);
const events = new Events(liveLink, () => api.place());
const composer = new Composer((text) => consoleLink.send(text), () => api.place(consoleLink.path));

// --- the connection of the views ---

const liveState = new ConnectionState(byId("connection-state"));
liveLink.onState = () => {
  const isOpen = liveLink.state === "open";
  liveState.show(liveLink);
  byId("reconnect").hidden = !["off", "locked", "waiting"].includes(liveLink.state);
  keys.setOnline(isOpen);
  if (!isOpen) {
    operations.lose();
    return;
  }
  events.connected();
  refreshInfo();
  showPages(tabs.shown === "pages");
  showServer(tabs.shown === "server");
};
liveLink.onFrame = (text) => {
  const message = JSON.parse(text);
  keys.receive(message);
  if (message.event === "set") start?.leave();
  events.receive(message, text);
};
byId("reconnect").addEventListener("click", () => {
  liveLink.connect();
  if (consoleLink.state !== "open") consoleLink.connect();
});

// --- the connection of the console ---

const consoleState = new ConnectionState(byId("console-state"));
const protocol = byId("console-protocol");
protocol.append(...PROTOCOLS.map(({ name, hint }, index) =>
  element("option", { value: index, title: hint }, name)));
const connectConsole = () => {
  consoleLink.path = PROTOCOLS[protocol.value].path;
  consoleLink.connect();
};
const isConsoleActive = () => ["connecting", "open", "waiting"].includes(consoleLink.state);
protocol.addEventListener("change", () => {
  if (isConsoleActive()) connectConsole();
});
byId("console-toggle").addEventListener("click", () => {
  if (isConsoleActive()) consoleLink.disconnect();
  else connectConsole();
});
consoleLink.onState = () => {
  const isOpen = consoleLink.state === "open";
  consoleState.show(consoleLink);
  setText(byId("console-toggle"), isConsoleActive() ? "Disconnect" : "Connect");
  composer.canSend(isOpen);
  replay?.canSend(isOpen);
};
byId("replay-choose").addEventListener("click", () => byId("replay-file").click());
byId("replay-file").addEventListener("change", async () => {
  const loaded = await import("./views/replay.js").catch(() => null);
  say(byId("composer-problem"), loaded ? "" : AWAY);
  if (!loaded) return;
  replay ??= new loaded.Replay(consoleLink);
  replay.canSend(consoleLink.state === "open");
  replay.load();
});

// --- polling the state of the server ---

function showInfo(info) {
  api.info = info;
  byId("sign-out").hidden = !info.hasToken;
  setText(byId("server-info"), `${info.version} · ${count(info.entries, "key")}`);
  keys.sawRevision(info.revision);
  // Whoever has chosen another view, or a key, is not led away from it.
  if (info.entries === 0 && wantsStart && /^(#keys)?$/.test(location.hash)) showStart(false);
  if (info.entries > 0) start?.leave();
  operations.keepsHistory = info.settings?.history !== 0;
  if (notice || info.refusedOrigins) {
    loadNotice().then((loaded) => loaded.sawRefusals(info.refusedOrigins), () => {});
  }
}

// Loads the cards of templates, with which a new store begins.
async function showStart(isAsked) {
  wantsStart = false; // once, by itself
  const loaded = await import("./views/startscreen.js").catch(() => null);
  if (!loaded) return;
  start ??= new loaded.StartScreen(api, () => byId("keys-new").click());
  tabs.show("keys");
  start.show(isAsked);
}
byId("start-open").addEventListener("click", () => showStart(true));

async function showPages(isShown) {
  if (isShown && !pages) {
    const loaded = await import("./views/pagesview.js").catch(() => null);
    if (!loaded) return;
    pages ??= new loaded.PagesView(api, () => showStart(true));
  }
  pages?.show(tabs.shown === "pages");
}

async function showServer(isShown) {
  if (isShown && !server) {
    const loaded = await import("./views/serverview.js").catch(() => null);
    say(byId("server-problem"), loaded ? "" : AWAY);
    if (!loaded) return;
    server ??= new loaded.ServerView(api, async (letIn) => (await loadNotice()).letIn(letIn));
  }
  server?.show(tabs.shown === "server");
}

// Loads the notice that a page from disk was refused, which few servers ever see.
async function loadNotice() {
  const { DiskNotice } = await import("./views/disknotice.js").catch(() => {
    throw new Error(AWAY);
  });
  return (notice ??= new DiskNotice(api));
}

function refreshInfo() {
  // If the server cannot be reached, the state of the connections shows it.
  api.ask("info").then(showInfo, () => {});
}

gate.onInfo = showInfo;
api.onReached = () => {
  for (const line of document.querySelectorAll(".problem[role=alert]")) {
    if (line.textContent === AWAY) say(line, "");
  }
};
setInterval(() => {
  if (!document.hidden && liveLink.state === "open") refreshInfo();
}, INFO_MS);

byId("sign-out").addEventListener("click", async () => {
  try {
    await api.closeSession();
  } catch {
    return; // the server cannot be reached: the connection's state shows it
  }
  liveLink.lock();
  consoleLink.lock();
  byId("sign-out").hidden = true;
});

// --- views ---

keys.onImported = () => start?.hide();
events.onOpenKey = (key, ns) => {
  tabs.show("keys");
  keys.open(key, ns);
};
tabs.hashOf = (name) => (name === "keys" ? keys.hash : `#${name}`);
window.addEventListener("hashchange", (event) => keys.follow(event.oldURL));
tabs.onShow = (name) => {
  keys.show(name === "keys");
  showServer(name === "server");
  showPages(name === "pages");
  log.redraw();
  events.redraw();
};

for (const [target, event] of [[window, "online"], [document, "visibilitychange"]]) {
  target.addEventListener(event, () => {
    if (document.hidden) return;
    consoleLink.hurry();
    liveLink.hurry();
  });
}

for (const field of document.querySelectorAll("input")) {
  field.autocomplete = field.autocapitalize = "off";
}
tabs.start();
keys.start();
liveLink.connect();
connectConsole();

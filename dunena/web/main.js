// The test page: puts its parts together. Each part is a module that is given the elements it owns
// and knows nothing of the others; what they tell each other is written down here.

import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { byId } from "./dom.js";
import { Follow } from "./follow.js";
import { FrameLog } from "./framelog.js";
import { Gate } from "./gate.js";
import { Header } from "./header.js";
import { KeyList } from "./keylist.js";
import { Link } from "./link.js";
import { PROTOCOLS } from "./messages.js";

const INFO_MS = 2000;

const log = new FrameLog();
const api = new Api((direction, text) => log.frame("http", direction, text));
const gate = new Gate(api);

// Two connections: what the user tries out on the first one, a dialect with its own rules, must not
// disturb the values that are followed on the second.
const admit = () => gate.pass();
const consoleLink = new Link("console", api, admit, log);
const liveLink = new Link("live", api, admit, log);
liveLink.path = "ws?protocol=object-store";

const keys = new KeyList(api, (key, ns) => follow.add(key, ns));
const follow = new Follow(api, liveLink, (followed) => keys.mark(followed));
const composer = new Composer((text) => consoleLink.send(text));
const header = new Header(PROTOCOLS, {
  connect: (path) => {
    consoleLink.path = path;
    consoleLink.connect();
    if (liveLink.state !== "open") liveLink.connect();
  },
  disconnect: () => {
    consoleLink.disconnect();
    liveLink.disconnect();
  },
});

function showInfo(info) {
  header.showInfo(info);
  byId("namespaces").replaceChildren(
    ...info.namespaces.map((ns) => Object.assign(document.createElement("option"), { value: ns })),
  );
  keys.sawRevision(info.revision);
}

function refreshInfo() {
  // A server that cannot be asked shows in the state of its connections.
  api.info().then(showInfo, () => {});
}

gate.onInfo = showInfo;
consoleLink.onState = () => {
  const isOpen = consoleLink.state === "open";
  header.showState(consoleLink);
  composer.canSend(isOpen);
  if (isOpen) refreshInfo();
};

setInterval(() => {
  if (!document.hidden && consoleLink.state === "open") refreshInfo();
}, INFO_MS);

for (const [target, event] of [[window, "online"], [document, "visibilitychange"]]) {
  target.addEventListener(event, () => {
    if (document.hidden) return;
    consoleLink.hurry();
    liveLink.hurry();
  });
}

header.start();

// The bar at the top: which server this is, how the connection is, and how to change that.

import { byId, count, element } from "./dom.js";

const WORDS = {
  off: "Not connected",
  connecting: "Connecting …",
  open: "Connected",
  waiting: "Connection lost",
  locked: "Token needed",
};

export class Header {
  #protocols;
  #actions;
  #link = null;
  #timer = 0;
  #state = byId("connection-state");
  #select = byId("connection-protocol");
  #toggle = byId("connection-toggle");

  // actions: connect(path) and disconnect().
  constructor(protocols, actions) {
    this.#protocols = protocols;
    this.#actions = actions;
    this.#select.append(
      ...protocols.map(({ name, hint }, index) =>
        element("option", { value: index, title: hint }, name)),
    );
    this.#select.addEventListener("change", () => {
      if (this.#link && this.#link.state !== "off") this.#connect();
    });
    this.#toggle.addEventListener("click", () => {
      if (this.#isActive()) this.#actions.disconnect();
      else this.#connect();
    });
  }

  start() {
    this.#connect();
  }

  showInfo({ version, entries, connections }) {
    byId("server-info").textContent =
      `${version} · ${count(entries, "entry", "entries")} · ${count(connections, "connection")}`;
  }

  showState(link) {
    this.#link = link;
    clearInterval(this.#timer);
    this.#state.dataset.state = link.state;
    this.#state.textContent = WORDS[link.state];
    this.#toggle.textContent = this.#isActive() ? "Disconnect" : "Connect";
    if (link.state === "waiting") this.#countDown();
  }

  #countDown() {
    // Hidden from screen readers, which would read it out every second.
    const rest = element("span", { "aria-hidden": "true" });
    const tick = () => {
      const seconds = Math.max(1, Math.round((this.#link.retryAt - Date.now()) / 1000));
      rest.textContent = `next try in ${seconds} s`;
    };
    this.#state.append(rest);
    this.#timer = setInterval(tick, 1000);
    tick();
  }

  #isActive() {
    return ["connecting", "open", "waiting"].includes(this.#link?.state);
  }

  #connect() {
    this.#actions.connect(this.#protocols[this.#select.value].path);
  }
}

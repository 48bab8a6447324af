// The state of a connection in words, which is always visible.

import { element } from "../lib/dom.js";

const WORDS = {
  off: "Not connected",
  connecting: "Connecting …",
  open: "Connected",
  waiting: "Connection lost",
  locked: "Token needed",
};

export class ConnectionState {
  #badge;
  #timer = 0;

  constructor(badge) {
    this.#badge = badge;
  }

  show(link) {
    clearInterval(this.#timer);
    this.#badge.dataset.state = link.state;
    this.#badge.textContent = WORDS[link.state];
    if (link.state === "waiting") this.#countDown(link);
  }

  #countDown(link) {
    // Hidden from screen readers, which would read the countdown out every second.
    const rest = element("span", { "aria-hidden": "true" });
    const tick = () => {
      const seconds = Math.max(1, Math.round((link.retryAt - Date.now()) / 1000));
      rest.textContent = `next try in ${seconds} s`;
    };
    this.#badge.append(rest);
    this.#timer = setInterval(tick, 1000);
    tick();
  }
}

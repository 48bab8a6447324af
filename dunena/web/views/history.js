// The sent messages, the newest first, stored between visits.

import { byId, element } from "../lib/dom.js";
import { compact } from "../lib/json.js";
import { recall, remember } from "../lib/memory.js";

const KEPT_MAX = 50;
const KEPT_CHARS_MAX = 20_000; // longer messages would fill the browser's storage
const SHOWN_CHARS_MAX = 90;

export class History {
  #texts = recall("history", []).filter((text) => typeof text === "string");
  #select = byId("composer-history");
  #at = -1;

  // choose(text) is called with a chosen message.
  constructor(choose) {
    this.#select.addEventListener("change", () => {
      const text = this.#texts[Number(this.#select.value)];
      this.#select.selectedIndex = 0;
      if (text !== undefined) choose(text);
    });
    this.#draw();
  }

  add(text) {
    this.#at = -1;
    if (text.length > KEPT_CHARS_MAX) return;
    this.#texts = [text, ...this.#texts.filter((other) => other !== text)].slice(0, KEPT_MAX);
    remember("history", this.#texts);
    this.#draw();
  }

  // Returns the message before (1) or after (-1) the last returned one; undefined beyond the ends.
  step(by) {
    const at = this.#at + by;
    if (at < 0 || at >= this.#texts.length) return undefined;
    this.#at = at;
    return this.#texts[at];
  }

  #draw() {
    this.#select.replaceChildren(element("option", { value: "" }, "History"),
      ...this.#texts.map((text, index) =>
        element("option", { value: index }, compact(text).slice(0, SHOWN_CHARS_MAX))));
    this.#select.disabled = !this.#texts.length;
  }
}

// The head of the panel: the key, buttons that copy it, and the properties of its entry.

import { copyButton } from "../../lib/copy.js";
import { button, element, setText } from "../../lib/dom.js";
import { duration, size, whole } from "../../lib/format.js";
import { hashOf } from "../../lib/hash.js";
import { compact } from "../../lib/json.js";

const THEN_CHARS_MAX = 100;

export class Head {
  onClose = () => {};
  root;
  meta;
  #source;
  #words = element("span", {});
  #then = element("code", {}); // what the value changes to, or is merged into it
  #title = element("h2", { id: "detail-title" });
  #copies = [
    copyButton("key", () => this.#source.key, "Copy key"),
    copyButton("link", () =>
      new URL(hashOf(this.#source.key, this.#source.ns), location.href).href, "Link"),
  ];

  constructor(source) {
    this.#source = source;
    this.meta = element("p", { class: "quiet meta" }, this.#words, this.#then);
    this.root = element("div", { class: "panel-head" }, this.#title,
      element("div", { class: "actions push" }, ...this.#copies,
        button("Close", () => this.onClose(), { "aria-label": "Close details" })));
  }

  begin() {
    const { key, ns } = this.#source;
    const isNew = key === null;
    this.#title.replaceChildren(...isNew ? ["New key"] : [
      ...ns ? [element("span", { class: "ns" }, ns)] : [],
      element("span", { class: "key" }, key),
    ]);
    for (const part of [this.meta, ...this.#copies]) part.hidden = isNew;
    this.#say("…");
  }

  // `now` is the server's time, in Unix ms.
  drawMeta(now) {
    const { entry } = this.#source;
    if (!entry) {
      this.#say("No value");
      return;
    }
    const { then } = entry;
    const left = duration(entry.expiresAt - now);
    let expiry = entry.session ? "goes with its session" : "never expires";
    if (entry.expiresAt && then === undefined) expiry = `expires in ${left}`;
    else if (entry.expiresAt) {
      expiry = `changes in ${left} ${then.startsWith("{") ? "by merging in" : "to"}`;
    }
    this.#say(`${size(entry.size)} · revision ${whole(entry.revision)} · ${expiry}`, then);
  }

  #say(words, then = "") {
    setText(this.#words, then ? `${words} ` : words);
    const isShort = then.length <= THEN_CHARS_MAX;
    setText(this.#then, isShort ? compact(then) : `${compact(then.slice(0, THEN_CHARS_MAX))} …`);
  }
}

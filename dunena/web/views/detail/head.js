// The head of the panel: the key, buttons that copy it, and the properties of its entry.

import { copyButton } from "../../lib/copy.js";
import { button, element, setText } from "../../lib/dom.js";
import { duration, size, whole } from "../../lib/format.js";
import { hashOf } from "../../lib/hash.js";

export class Head {
  onClose = () => {};
  root;
  meta = element("p", { class: "quiet meta" });
  #source;
  #title = element("h2", { id: "detail-title" });
  #copies = [
    copyButton("key", () => this.#source.key, "Copy key"),
    copyButton("link", () =>
      new URL(hashOf(this.#source.key, this.#source.ns), location.href).href, "Link"),
  ];

  constructor(source) {
    this.#source = source;
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
    setText(this.meta, "…");
  }

  // `now` is the server's time, in Unix ms.
  drawMeta(now) {
    const { entry } = this.#source;
    if (!entry) {
      setText(this.meta, "No value");
      return;
    }
    const expiry = entry.expiresAt
      ? `${entry.then === undefined ? "expires" : "changes"} in ${duration(entry.expiresAt - now)}`
      : "never expires";
    setText(this.meta, `${size(entry.size)} · revision ${whole(entry.revision)} · ${expiry}`);
  }
}

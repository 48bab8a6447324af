// The present value, as a tree or as text.

import { copyButton } from "../../lib/copy.js";
import { button, element, flash, say, setText } from "../../lib/dom.js";
import { whole } from "../../lib/format.js";
import { indent } from "../../lib/json.js";
import { recall, remember } from "../../lib/memory.js";
import { timerText } from "../../lib/timer.js";

const SHOWN_CHARS_MAX = 50_000;

export class ValueView {
  root;
  #text; // JSON; undefined for no value
  #isKnown = false;
  #view = recall("view", "tree") === "json" ? "json" : "tree";
  #editing = null; // the tree (editing.js); null until it is loaded
  #shown = element("pre", { class: "value", tabindex: "0", "aria-label": "Value as JSON" });
  #clock = element("p", { class: "clock", role: "timer", hidden: "" });
  #nothing = element("p", { class: "empty" }, "There is no value under this key.");
  #views = ["tree", "json"].map((view) =>
    button(view === "tree" ? "Tree" : "JSON", () => this.#setView(view), { "data-view": view }));

  constructor() {
    this.root = element("div", { class: "value-box" },
      element("div", { class: "value-head" },
        element("div", { class: "segments", role: "group", "aria-label": "Show as" },
          ...this.#views),
        copyButton("value", () => indent(this.#text ?? "null"))),
      this.#clock, this.#shown, this.#nothing);
  }

  // Takes what draws the tree, which is loaded with the first value.
  useTree(editing) {
    this.#editing = editing;
    this.#shown.after(editing.root);
    this.root.append(editing.bar);
    if (this.#isKnown) this.#draw(true);
    else this.#setView(this.#view);
  }

  // Shows nothing until the value is known.
  begin(isNew) {
    this.root.hidden = isNew;
    this.#text = undefined;
    this.#isKnown = false;
    this.tick();
    this.#editing?.begin();
    setText(this.#shown, "");
    this.#nothing.hidden = true;
    this.#setView(this.#view);
  }

  // Shows what a timer shows at `now`, the server's time in Unix ms.
  tick(now) {
    say(this.#clock, timerText(this.#text, now));
  }

  // Shows the value's JSON, undefined for no value; highlights it unless it is the first.
  show(text, isFirst) {
    this.#isKnown = true;
    this.#text = text;
    this.#draw(isFirst);
  }

  #draw(isFirst) {
    const text = this.#text;
    this.#nothing.hidden = text !== undefined;
    this.#editing?.show(text, isFirst);
    this.#setView(this.#view);
    this.#drawJson();
    if (!isFirst && this.#view === "json") flash(this.root);
  }

  #drawJson() {
    const text = this.#text;
    if (text === undefined) setText(this.#shown, "");
    else if (this.#view === "json") {
      const pretty = indent(text);
      const rest = pretty.length - SHOWN_CHARS_MAX;
      setText(this.#shown, rest > 0
        ? `${pretty.slice(0, SHOWN_CHARS_MAX)}\n… and ${whole(rest)} more characters`
        : pretty);
    }
  }

  #setView(view) {
    const isOther = view !== this.#view;
    this.#view = view;
    for (const one of this.#views) one.setAttribute("aria-pressed", one.dataset.view === view);
    const isTree = view === "tree" && (this.#nothing.hidden || this.#editing?.isEdited);
    if (this.#editing) this.#editing.root.hidden = !isTree;
    this.#shown.hidden = view !== "json" || !this.#nothing.hidden;
    if (!isOther) return;
    remember("view", view);
    this.#drawJson();
  }
}

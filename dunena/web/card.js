// One followed key: its value as it is now, and an editor that a change from elsewhere never
// overwrites.

import { clockTime, element, flash, onCtrlEnter, say } from "./dom.js";
import { bytes, fault, indent, member } from "./json.js";

const SHOWN_CHARS_MAX = 20_000;
const NOTHING = "null"; // what a key without a value is answered with

export class Card {
  root;
  #actions;
  #frame = null; // the latest update, not drawn yet
  #value = null; // JSON text; null before the first update
  #removed = null; // what was deleted here and can be put back
  #base = null; // the value the editor began with; null while it is closed
  #isSetting = false;

  // actions: set(value) async, remove(), unfollow(); value is JSON text, and remove() is false
  // without a connection.
  constructor(key, ns, actions) {
    this.key = key;
    this.ns = ns;
    this.#actions = actions;
    this.#build();
  }

  // An update of this key. Of those that come faster than the screen is drawn, the last is enough.
  receive(frame) {
    const isScheduled = this.#frame !== null;
    this.#frame = frame;
    if (!isScheduled) requestAnimationFrame(() => this.#draw());
  }

  #build() {
    const button = (text, onclick, kind = "small") =>
      element("button", { type: "button", class: kind, onclick }, text);
    const spoken = this.ns ? `${this.key} in ${this.ns}` : this.key;
    this.meta = element("span", { class: "quiet meta" }, "waiting for its value");
    this.shown = element("pre", { class: "value", "aria-label": `Value of ${spoken}` });
    this.edit = button("Edit", () => this.#open());
    this.restore = button("Put back", () => this.#restore());
    this.remove = button("Delete", () => this.#delete());
    this.text = element("textarea", {
      rows: 4, spellcheck: "false", autocapitalize: "off", "aria-label": `New value of ${spoken}`,
      placeholder: 'Any JSON: "text", 12, {"x": 1}',
    });
    this.submit = button("Set", () => this.#set(), "primary small");
    this.verdict = element("p", { class: "verdict", role: "status" });
    this.conflict = element("div", { class: "notice", role: "alert" },
      element("p", {}, "The value changed while you were editing. Yours is untouched."),
      button("Load the new value", () => this.#load()));
    this.editor = element("div", { class: "editor" }, this.text, this.conflict,
      element("div", { class: "actions" },
        this.submit, button("Cancel", () => this.#close()), this.verdict));
    this.problem = element("p", { class: "problem", role: "alert" });
    this.editor.hidden = this.restore.hidden = this.problem.hidden = true;
    this.root = element("li", { class: "card" },
      element("div", { class: "card-head" },
        element("h3", {}, ...this.ns ? [element("span", { class: "ns" }, this.ns)] : [],
          element("span", { class: "key" }, this.key)),
        this.meta),
      this.shown, this.editor, this.problem,
      element("div", { class: "actions" }, this.edit, this.restore, this.remove,
        button("Unfollow", this.#actions.unfollow, "small push")));
    this.text.addEventListener("input", () => this.#judge());
    onCtrlEnter(this.text, () => this.#set());
    this.text.addEventListener("keydown", (event) => {
      // Escape must not throw away what was typed.
      if (event.key === "Escape" && this.text.value === this.#editable()) this.#close();
    });
  }

  #draw() {
    const value = member(this.#frame, "value");
    this.#frame = null;
    const isFirst = this.#value === null;
    if (value === this.#value) return;
    this.#value = value;
    const pretty = indent(value);
    const rest = pretty.length - SHOWN_CHARS_MAX;
    this.shown.textContent = rest > 0
      ? `${pretty.slice(0, SHOWN_CHARS_MAX)}\n… and ${rest.toLocaleString("en")} more characters`
      : pretty;
    this.shown.classList.toggle("nothing", value === NOTHING);
    this.meta.textContent = value === NOTHING
      ? "no value"
      : `${bytes(value).toLocaleString("en")} B · ${clockTime()}`;
    this.remove.disabled = value === NOTHING;
    this.restore.hidden = value !== NOTHING || this.#removed === null;
    if (!isFirst) flash(this.shown);
    this.#compare();
  }

  #editable() {
    return this.#base === NOTHING ? "" : indent(this.#base);
  }

  #open() {
    this.#load();
    this.editor.hidden = false;
    this.edit.hidden = true;
    this.editor.scrollIntoView({ block: "nearest" });
    this.text.focus();
  }

  #load() {
    this.#base = this.#value ?? NOTHING;
    this.text.value = this.#editable();
    this.#compare();
    this.#judge();
    this.text.focus();
  }

  #close() {
    this.#base = null;
    this.editor.hidden = true;
    this.edit.hidden = false;
    this.edit.focus();
  }

  // Shows whether the value is another one than the editor began with.
  #compare() {
    const isOther = this.#base !== null && !this.#isSetting
      && this.#value !== null && this.#value !== this.#base;
    if (isOther && this.conflict.hidden) {
      this.conflict.hidden = false;
      this.conflict.scrollIntoView({ block: "nearest" });
    }
    this.conflict.hidden = !isOther;
    this.submit.textContent = isOther ? "Overwrite" : "Set";
  }

  #judge() {
    const wrong = fault(this.text.value);
    this.text.setAttribute("aria-invalid", Boolean(wrong));
    this.verdict.textContent = wrong;
    this.verdict.classList.toggle("problem", Boolean(wrong));
    this.submit.disabled = Boolean(wrong);
    return !wrong;
  }

  async #set() {
    if (!this.#judge() || this.#isSetting) return;
    // Our own change comes back as an update, maybe before the answer: it is no conflict.
    this.#isSetting = true;
    const isDone = await this.#try(this.text.value);
    this.#isSetting = false;
    if (isDone) this.#close();
    else this.#compare();
  }

  async #try(value) {
    try {
      await this.#actions.set(value);
      say(this.problem, "");
      return true;
    } catch (error) {
      say(this.problem, error.message);
      return false;
    }
  }

  #delete() {
    if (!this.#actions.remove()) {
      say(this.problem, "There is no connection.");
      return;
    }
    say(this.problem, "");
    this.#removed = this.#value;
    this.edit.focus();
  }

  async #restore() {
    if (await this.#try(this.#removed)) this.#removed = null;
  }
}

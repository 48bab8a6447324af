// One key: its value as it is now, and an editor that a change from elsewhere never overwrites.

import { copyButton } from "../../lib/copy.js";
import { byId, button, element, flash, onCtrlEnter, say, setText } from "../../lib/dom.js";
import { duration, size, whole } from "../../lib/format.js";
import { indent } from "../../lib/json.js";
import { JsonEditor, LARGE_CHARS } from "../../lib/jsoneditor.js";
import { recall, remember } from "../../lib/memory.js";
import { hashOf } from "../../lib/place.js";
import { ask } from "../../lib/question.js";
import { Conflict } from "../../net/api.js";
import { Lifetime } from "./lifetime.js";
import { Tree } from "./tree.js";

const SHOWN_CHARS_MAX = 50_000;
const COUNTDOWN_MS = 500;
const TAKEN_CHARS_MAX = 100;
const TRIES_MAX = 5; // of a value that is set anew all the time, and stays the same
const CHANGED_MS = 40; // between two questions for a value that changes all the time

export class Detail {
  onClose = () => {};
  onCreated = () => {}; // (key, ns)
  key = null; // null while nothing is shown, or a new key is written
  ns = "";

  #api;
  #entry = null; // { text, size, revision, expiresAt }; null for no value
  #isKnown = false;
  #isAsking = false;
  #asksAgain = false;
  #epoch = 0; // another key, or another connection: older answers do not count
  #base = null; // the text the editor began with; null while it is closed
  #began = ""; // what stood in the editor then
  #seen = { text: "", revision: 0 }; // what a save may replace: what the user was shown
  #taken = null; // the entry that a new key would overwrite
  #visit = null; // what an answer for a key that was left is known by
  #isSetting = false;
  #removed = null;
  #view = recall("view", "tree");
  #panel = byId("detail");
  #tree = new Tree();
  #editor = new JsonEditor("New value", {
    rows: 10, placeholder: 'Any JSON: "text", 12, {"x": 1}',
  });
  #editorLife = new Lifetime("Expires");
  #ownLife = new Lifetime("Expires");

  constructor(api) {
    this.#api = api;
    this.#build();
    setInterval(() => {
      if (!document.hidden && this.#entry?.expiresAt) this.#drawMeta();
    }, COUNTDOWN_MS);
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  isShowing(key, ns) {
    return this.isOpen && key === this.key && ns === this.ns;
  }

  // False if there is an edit that the user wants to keep.
  async mayLeave() {
    const isEdited = this.isOpen && this.#base !== null && this.#editor.text !== this.#began;
    if (!isEdited) return true;
    const name = this.key === null ? "The new key" : `What you wrote for ${this.key}`;
    return ask(`${name} is not saved.`, "Discard", "Keep editing");
  }

  show(key, ns) {
    if (this.isShowing(key, ns)) return;
    this.#begin(key, ns);
    this.title.replaceChildren(...ns ? [element("span", { class: "ns" }, ns)] : [],
      element("span", { class: "key" }, key));
    this.refresh();
    this.#panel.focus({ preventScroll: true });
  }

  // An empty form for a key that does not exist yet.
  create(ns) {
    this.#begin(null, ns);
    this.title.replaceChildren("New key");
    byId("new-key").value = "";
    byId("new-ns").value = ns;
    this.#open();
    byId("new-key").focus();
  }

  close() {
    if (!this.isOpen) return;
    this.#epoch += 1;
    this.key = null;
    this.#panel.hidden = true;
    document.body.classList.remove("with-detail");
    this.onClose();
  }

  // An event of cache-events.
  apply({ event, data }) {
    if (this.key === null) return;
    const isOurs = data.key === this.key && (data.ns ?? "") === this.ns;
    if (isOurs || event === "clear") this.refresh();
  }

  // After a connection was lost nothing known before counts any more.
  doubt() {
    this.#epoch += 1;
    this.refresh();
  }

  setOnline(isOnline) {
    this.#panel.classList.toggle("stale", !isOnline);
  }

  // Asks for the value; one question at a time, and one more if something came meanwhile.
  async refresh() {
    if (this.key === null) return;
    if (this.#isAsking) {
      this.#asksAgain = true;
      return;
    }
    this.#isAsking = true;
    const epoch = this.#epoch;
    try {
      const entry = await this.#api.entry(this.key, this.ns);
      if (epoch === this.#epoch) this.#receive(entry);
    } catch (error) {
      if (epoch === this.#epoch && !this.#isKnown) say(this.problem, error.message);
    }
    this.#isAsking = false;
    if (this.#asksAgain || epoch !== this.#epoch) {
      this.#asksAgain = false;
      setTimeout(() => this.refresh(), CHANGED_MS);
    }
  }

  // --- what is shown ---

  #build() {
    this.title = element("h2", { id: "detail-title" });
    this.copyKey = copyButton("key", () => this.key, "Copy key");
    this.copyLink = copyButton("link", () =>
      new URL(hashOf(this.key, this.ns), location.href).href, "Link");
    this.meta = element("p", { class: "quiet meta" });
    this.shown = element("pre", { class: "value", tabindex: "0", "aria-label": "Value as text" });
    this.nothing = element("p", { class: "empty" }, "There is no value under this key.");
    this.views = ["tree", "text"].map((view) =>
      button(view === "tree" ? "Tree" : "Text", () => this.#setView(view), { "data-view": view }));
    this.copyValue = copyButton("value", () => indent(this.#entry?.text ?? "null"));
    this.edit = button("Edit", () => this.#open(), { class: "small primary" });
    this.expire = button("Expiry", () => this.#openExpiry());
    this.remove = button("Delete", () => this.#delete(), { class: "small danger" });
    this.restore = button("Put back", () => this.#restore());
    this.problem = element("p", { class: "problem", role: "alert", hidden: "" });
    this.actions = element("div", { class: "actions" },
      this.edit, this.expire, this.restore, this.remove);
    this.#buildEditor();
    this.expiryForm = element("form", { class: "inline-form" }, this.#ownLife.root,
      element("button", { class: "small primary" }, "Apply"),
      button("Cancel", () => this.#closeExpiry()));
    this.expiryForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#applyExpiry();
    });
    this.value = element("div", { class: "value-box" },
      element("div", { class: "value-head" },
        element("div", { class: "segments", role: "group", "aria-label": "Show as" }, ...this.views),
        this.copyValue),
      this.#tree.root, this.shown, this.nothing);
    const leave = async () => await this.mayLeave() && this.close();
    const close = button("Close", leave, { "aria-label": "Close details" });
    this.#panel.append(
      element("div", { class: "panel-head" }, this.title,
        element("div", { class: "actions push" }, this.copyKey, this.copyLink, close)),
      this.names, this.meta, this.value, this.expiryForm, this.actions, this.form, this.problem);
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#escape();
    });
  }

  #buildEditor() {
    const field = (id, text, attributes) => element("label", {}, text, element("input", {
      id, autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...attributes,
    }));
    this.names = element("div", { class: "fields" }, field("new-key", "Key", {}),
      field("new-ns", "Namespace", { placeholder: "none" }));
    this.submit = button("Set", () => this.#set(), { class: "small primary" });
    this.conflictText = element("p", {});
    this.loadNew = button("Load the new value", () => this.#load());
    this.conflict = element("div", { class: "notice", role: "alert" }, this.conflictText,
      this.loadNew);
    this.form = element("div", { class: "editor" }, this.#editor.root, this.conflict,
      element("div", { class: "actions" }, this.#editorLife.root, this.submit,
        button("Cancel", () => this.#cancel()), this.#editor.verdict));
    this.#editor.onJudged = () => this.#judge();
    onCtrlEnter(this.form, () => this.#set());
    onCtrlEnter(this.names, () => this.#set());
    this.names.addEventListener("input", () => {
      this.#taken = null; // that was another name
      this.#compare();
    });
  }

  #begin(key, ns) {
    this.#epoch += 1;
    Object.assign(this, { key, ns });
    this.#entry = this.#removed = this.#base = this.#taken = null;
    this.#visit = Symbol("visit");
    this.#isKnown = this.#isSetting = false;
    this.#panel.hidden = false;
    document.body.classList.add("with-detail");
    const isNew = key === null;
    this.names.hidden = !isNew;
    for (const part of [this.meta, this.value, this.actions, this.copyKey, this.copyLink]) {
      part.hidden = isNew;
    }
    this.loadNew.hidden = isNew;
    this.form.hidden = this.expiryForm.hidden = true;
    this.#tree.root.replaceChildren();
    setText(this.shown, "");
    setText(this.meta, "…");
    this.nothing.hidden = true;
    say(this.problem, "");
    this.#setView(this.#view);
    this.#compare();
  }

  #receive(entry) {
    const isFirst = !this.#isKnown;
    const isOther = isFirst || entry?.text !== this.#entry?.text;
    this.#isKnown = true;
    this.#entry = entry;
    if (isFirst) say(this.problem, "");
    this.#drawMeta();
    if (isOther) this.#drawValue(isFirst);
    this.remove.disabled = this.expire.disabled = !entry;
    this.restore.hidden = Boolean(entry) || this.#removed === null;
    this.#compare();
  }

  #drawMeta() {
    const entry = this.#entry;
    if (!entry) {
      setText(this.meta, "No value");
      return;
    }
    const expiry = entry.expiresAt
      ? `expires in ${duration(entry.expiresAt - this.#api.now)}`
      : "never expires";
    setText(this.meta, `${size(entry.size)} · revision ${whole(entry.revision)} · ${expiry}`);
  }

  #drawValue(isFirst) {
    const text = this.#entry?.text;
    this.nothing.hidden = text !== undefined;
    this.#setView(this.#view);
    if (text === undefined) {
      this.#tree.root.replaceChildren();
      setText(this.shown, "");
    } else if (this.#view === "tree") {
      this.#tree.show(text, isFirst);
    } else {
      const pretty = indent(text);
      const rest = pretty.length - SHOWN_CHARS_MAX;
      setText(this.shown, rest > 0
        ? `${pretty.slice(0, SHOWN_CHARS_MAX)}\n… and ${whole(rest)} more characters`
        : pretty);
    }
    if (!isFirst) flash(this.value);
  }

  #setView(view) {
    const isOther = view !== this.#view;
    this.#view = view;
    for (const one of this.views) one.setAttribute("aria-pressed", one.dataset.view === view);
    this.#tree.root.hidden = view !== "tree" || !this.nothing.hidden;
    this.shown.hidden = view !== "text" || !this.nothing.hidden;
    if (!isOther) return;
    remember("view", view);
    this.#drawValue(true);
  }

  // --- the editor ---

  #editable(text) {
    if (text === undefined || text === null) return "";
    return text.length < LARGE_CHARS ? indent(text) : text;
  }

  #open() {
    this.#closeExpiry();
    this.#load();
    this.form.hidden = false;
    this.actions.hidden = true;
    this.#editor.field.focus({ preventScroll: true });
    this.#editor.toTop();
    this.form.scrollIntoView({ block: "nearest" });
  }

  #load() {
    this.#base = this.#entry?.text ?? "";
    this.#editor.text = this.#editable(this.#entry?.text);
    this.#began = this.#editor.text;
    this.#editorLife.offer(this.#remaining());
    this.#compare();
  }

  #cancel() {
    if (this.key === null) this.close();
    else this.#closeEditor();
  }

  #closeEditor() {
    this.#base = null;
    this.form.hidden = true;
    this.actions.hidden = false;
    this.#compare();
    this.edit.focus();
  }

  // Escape must not throw away what was typed.
  #escape() {
    if (!this.expiryForm.hidden) this.#closeExpiry();
    else if (this.#base === null) this.close();
    else if (this.#editor.text === this.#began) this.#cancel();
  }

  // Shows whether a save would replace another value than the editor began with. While it shows so
  // it stands for the value that there was when it began to: that, and no later one, may be replaced.
  #compare() {
    const now = this.#entry?.text ?? "";
    const isChanged = this.key !== null && this.#base !== null && !this.#isSetting
      && this.#isKnown && now !== this.#base;
    const isOther = isChanged || this.#taken !== null;
    if (this.key === null) this.#see(this.#taken);
    else if (!isOther || this.conflict.hidden || now === this.#seen.text) this.#see(this.#entry);
    setText(this.conflictText, this.#conflictWords(now));
    if (isOther && this.conflict.hidden) {
      this.conflict.hidden = false;
      this.conflict.scrollIntoView({ block: "nearest" });
    }
    this.conflict.hidden = !isOther;
    setText(this.submit, isOther ? "Overwrite" : "Set");
  }

  #see(entry) {
    this.#seen = { text: entry?.text ?? "", revision: entry?.revision ?? 0 };
  }

  #conflictWords(now) {
    if (this.#taken) {
      return `This key has a value already (${size(this.#taken.size)}): ${
        this.#taken.text.slice(0, TAKEN_CHARS_MAX)}`;
    }
    if (!now) return "The key was removed while you were editing. What you wrote is untouched.";
    const again = now === this.#seen.text ? "" : " again";
    return `The value changed${again} while you were editing. The new one is shown above; yours is untouched.`;
  }

  #judge() {
    this.submit.disabled = Boolean(this.#editor.fault);
    this.#editor.sayVerdict("");
  }

  async #set() {
    if (!this.#editor.judge() || this.#isSetting) return;
    const visit = this.#visit;
    const isNew = this.key === null;
    const key = isNew ? byId("new-key").value : this.key;
    const ns = isNew ? byId("new-ns").value : this.ns;
    // Our own change comes back as an event, maybe before the answer: it is no conflict.
    this.#isSetting = true;
    let isSet = false;
    await this.#try(async () => {
      isSet = await this.#replace(key, ns, visit);
    });
    if (visit !== this.#visit) return;
    this.#isSetting = false;
    if (!isSet) this.#compare();
    else if (isNew) {
      this.#base = null; // nothing is lost now
      this.onCreated(key, ns);
    } else this.#closeEditor();
    this.refresh();
  }

  // Sets what was written in the place of what was seen; false if there is another value by now,
  // which is shown then.
  async #replace(key, ns, visit) {
    const text = this.#editor.text;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      try {
        await this.#api.set(key, ns, text, this.#editorLife.ttl(this.#remaining()),
          this.#seen.revision);
        return true;
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
      }
      const entry = await this.#api.entry(key, ns);
      if (visit !== this.#visit) return false;
      const isShown = this.#isOther(entry);
      this.#see(entry);
      if (isShown) {
        this.conflict.hidden = true; // to be shown anew
        return false;
      }
    }
    throw new Error("The value is set anew all the time. Try again.");
  }

  // Takes what a save met; whether it is another value than the editor began with.
  #isOther(entry) {
    if (this.key === null) {
      this.#taken = entry;
      return entry !== null;
    }
    this.#receive(entry);
    return (entry?.text ?? "") !== this.#base;
  }

  async #try(act) {
    const epoch = this.#epoch;
    try {
      await act();
      if (epoch === this.#epoch) say(this.problem, "");
      return true;
    } catch (error) {
      if (epoch === this.#epoch) say(this.problem, error.message);
      return false;
    }
  }

  // --- expiry, deletion ---

  #remaining() {
    const at = this.#entry?.expiresAt;
    return at ? Math.max(1, Math.round(at - this.#api.now)) : 0;
  }

  #openExpiry() {
    this.#ownLife.offer(this.#remaining());
    this.expiryForm.hidden = false;
    this.actions.hidden = true;
    this.#ownLife.focus();
  }

  #closeExpiry() {
    if (this.expiryForm.hidden) return;
    this.expiryForm.hidden = true;
    this.actions.hidden = false;
    this.expire.focus();
  }

  // An expiry belongs to the value it was set with: the value is set anew, as it is now.
  async #applyExpiry() {
    const { key, ns } = this;
    if (!this.#entry) return;
    const { text, revision } = this.#entry;
    const ttl = this.#ownLife.ttl(this.#remaining());
    if (await this.#try(() => this.#api.set(key, ns, text, ttl, revision))) this.#closeExpiry();
    this.refresh();
  }

  async #delete() {
    const { key, ns } = this;
    const removed = this.#entry;
    const left = this.#remaining();
    if (!await this.#try(() => this.#api.remove(key, ns))) return;
    this.#removed = { text: removed.text, ttl: left };
    this.refresh();
    this.edit.focus();
  }

  async #restore() {
    const { key, ns } = this;
    const { text, ttl } = this.#removed;
    if (await this.#try(() => this.#api.set(key, ns, text, ttl, 0))) this.#removed = null;
    this.refresh();
    this.edit.focus();
  }
}

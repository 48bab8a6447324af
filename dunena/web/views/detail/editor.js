// An editor for the value of an existing or a new key, which changes from elsewhere never
// overwrite.

import { byId, button, element, onCtrlEnter, setText } from "../../lib/dom.js";
import { Conflict } from "../../net/api.js";
import { fieldsOf, message } from "../../net/operations.js";
import { copyMenuButton } from "../copybutton.js";
import { Written } from "./written.js";

const TRIES_MAX = 5; // for a key that others keep setting to the same value

export class Editor {
  onCancel = () => {};
  onClose = () => {};
  onCreated = () => {}; // (key, ns)
  root;
  names; // the input fields for a new key and its namespace
  #api;
  #operations;
  #source;
  #life;
  #conflict;
  #changes;
  #base = null; // the value's text when the editor was opened; null while it is closed
  #began = ""; // what the editor had for it at that time
  #taken = null; // the entry that a new key would overwrite
  #visit = null; // identifies the present key, to ignore answers for a former one
  #isSetting = false;
  #replaced = []; // what the user wrote before a value was loaded, the next to bring back last
  #undo = element("div", { class: "notice", role: "status" },
    element("p", {}, "The new value is loaded. Your text is kept until you set a value or cancel."),
    button("Back to my text", () => this.#bringBack()));
  #written = new Written();
  #submit = button("Set", () => this.#set(), { class: "small primary" });

  constructor(api, operations, source, life, conflict, changes) {
    this.#api = api;
    this.#operations = operations;
    this.#source = source;
    this.#life = life;
    this.#conflict = conflict;
    this.#changes = changes;
    conflict.onLoad = () => this.#loadNew();
    conflict.onRead = () => this.compare();
    this.#buildNames();
    this.root = element("div", { class: "editor" }, this.#written.root, conflict.root,
      this.#undo, element("div", { class: "actions" }, life.root, this.#submit,
        button("Cancel", () => this.onCancel()),
        copyMenuButton(() => this.#copied(), () => api.place(), (text) => source.onProblem(text)),
        this.#written.verdict));
    this.#written.onJudged = () => {
      this.#submit.disabled = Boolean(this.#written.fault);
    };
    for (const part of [this.root, this.names]) onCtrlEnter(part, () => this.#set());
  }

  get isOpen() {
    return this.#base !== null;
  }

  get isEdited() {
    return this.isOpen && (this.#isTyped || this.#replaced.length > 0);
  }

  begin() {
    this.#base = this.#taken = null;
    this.#keep([]);
    this.#visit = Symbol("visit");
    this.#isSetting = false;
    this.names.hidden = !this.#isNew;
    this.root.hidden = true;
    this.#conflict.begin(this.#isNew);
    this.compare();
  }

  open() {
    this.#keep([]);
    this.#load();
    this.root.hidden = false;
    this.#written.field.focus({ preventScroll: true });
    this.#written.toTop();
    this.root.scrollIntoView({ block: "nearest" });
  }

  openForNewKey() {
    byId("new-key").value = "";
    byId("new-ns").value = this.#source.ns;
    this.open();
    byId("new-key").focus();
  }

  close() {
    this.#base = null;
    this.root.hidden = true;
    this.compare();
    this.onClose();
  }

  // Shows whether a save would replace another value than the editor began with.
  compare() {
    const { entry } = this.#source;
    const isChanged = this.isOpen && !this.#isSetting && entry !== undefined
      && (entry?.text ?? "") !== this.#base;
    const isOther = this.#isNew ? this.#taken !== null : isChanged;
    this.#conflict.compare(this.#isNew ? this.#taken : entry, isOther);
    this.#life.name(entry?.then !== undefined);
    setText(this.#submit, isOther ? "Overwrite" : "Set");
    this.#submit.setAttribute("aria-disabled", isOther && this.#conflict.isUnread);
  }

  get #isTyped() {
    return this.#written.value !== this.#began;
  }

  // The key and namespace that a save sets.
  get #target() {
    return this.#isNew ? { key: byId("new-key").value, ns: byId("new-ns").value } : this.#source;
  }

  get #isNew() {
    return this.#source.key === null;
  }

  #buildNames() {
    const field = (id, text, attributes) => element("label", {}, text, element("input", {
      id, autocomplete: "off", autocapitalize: "off", ...attributes,
    }));
    this.names = element("div", { class: "fields" }, field("new-key", "Key", {}),
      field("new-ns", "Namespace", { placeholder: "none" }));
    this.names.addEventListener("input", () => {
      this.#taken = null; // it had another name
      this.compare();
    });
  }

  #load(keepsJson = false) {
    const { entry, remaining } = this.#source;
    this.#base = entry?.text ?? "";
    this.#written.load(this.#base, keepsJson);
    this.#began = this.#written.value;
    this.#life.offer(remaining);
    this.compare();
  }

  // Shows the present value in place of what was typed, which can be brought back.
  #loadNew() {
    if (this.#isTyped) this.#keep([...this.#replaced, this.#written.state]);
    this.#load(true);
    this.#written.field.focus({ preventScroll: true });
  }

  // Brings back the user's text. A save then replaces the value that was loaded.
  #bringBack() {
    const states = this.#isTyped ? [this.#written.state, ...this.#replaced] : [...this.#replaced];
    this.#written.restore(states.pop());
    this.#keep(states);
    this.#written.field.focus({ preventScroll: true });
  }

  #keep(states) {
    this.#replaced = states;
    this.#undo.hidden = !states.length;
  }

  // Returns what can be copied: setting what was written, as a save does.
  #copied() {
    const { key, ns } = this.#target;
    if (!this.#written.judge()) return [];
    if (!key) {
      byId("new-key").focus();
      return [];
    }
    const ttl = this.#life.ttl(this.#source.remaining);
    const more = ttl && fieldsOf({ ttl, then: this.#source.entry?.then });
    const fields = { value: this.#written.value, ...more };
    return [{ title: "Set what is written", text: message("set", key, ns, fields) }];
  }

  async #set() {
    if (!this.#written.judge() || this.#isSetting) return;
    if (this.#submit.getAttribute("aria-disabled") === "true") return;
    const visit = this.#visit;
    const isNew = this.#isNew;
    const { key, ns } = this.#target;
    // The page's own change arrives as an event, maybe before the answer: it is no conflict.
    this.#isSetting = true;
    let isSet = false;
    await this.#source.attempt(async () => {
      isSet = await this.#replace(key, ns, visit);
    });
    if (visit !== this.#visit) return;
    this.#isSetting = false;
    if (!isSet) this.compare();
    else if (isNew) {
      this.#base = null; // the edit is saved: leaving loses nothing
      this.onCreated(key, ns);
    } else this.close();
    this.#source.refresh();
  }

  // Replaces the seen value by the edited one. Resolves to false if the key has another value now,
  // which is then shown.
  async #replace(key, ns, visit) {
    const text = this.#written.value;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      try {
        const { entry, remaining } = this.#source;
        const before = this.#source.keptOf(this.#isNew ? this.#taken : entry);
        await this.#operations.set(key, ns, this.#conflict.revision, text,
          { ttl: this.#life.ttl(remaining), then: entry?.then });
        this.#changes.add({ key, ns, before, after: { text } });
        return true;
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
      }
      const entry = await this.#api.entry(key, ns);
      if (visit !== this.#visit) return false;
      const isOther = this.#isOther(entry);
      this.#conflict.meet(entry);
      if (isOther) return false;
    }
    throw new Error("The value is set anew all the time. Try again.");
  }

  // Takes the entry that prevented a save; returns whether its value is another one than at first.
  #isOther(entry) {
    if (this.#isNew) {
      this.#taken = entry;
      return entry !== null;
    }
    this.#source.receive(entry);
    return (entry?.text ?? "") !== this.#base;
  }
}

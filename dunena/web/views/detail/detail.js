// The panel of one key: its present value and an editor for it. Connects the parts of the panel,
// which share one source.

import { byId, element, say } from "../../lib/dom.js";
import { ask } from "../../lib/question.js";
import { EntrySource } from "../../net/entrysource.js";
import { AWAY } from "../../net/api.js";
import { Actions } from "./actions.js";
import { Changes } from "./changes.js";
import { ConflictNotice } from "./conflict.js";
import { EarlierValues } from "./earlier.js";
import { Editor } from "./editor.js";
import { Head } from "./head.js";
import { Lifetime } from "./lifetime.js";
import { ValueView } from "./value.js";

const COUNTDOWN_MS = 500;

export class Detail {
  onClose = () => {};
  onCreated = () => {}; // (key, ns)
  #panel = byId("detail");
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #value = new ValueView();
  #changes = new Changes();
  #editing = null; // what edits the value in its tree, once it is loaded
  #api;
  #operations;
  #source;
  #head;
  #editor;
  #actions;
  #earlier;

  constructor(api, operations) {
    this.#api = api;
    this.#operations = operations;
    this.#source = new EntrySource(api);
    this.#head = new Head(this.#source);
    this.#editor = new Editor(api, operations, this.#source, new Lifetime(),
      new ConflictNotice(), this.#changes);
    this.#actions = new Actions(operations, this.#source, this.#changes, new Lifetime(),
      () => api.place());
    this.#earlier = new EarlierValues(operations, this.#source, this.#changes);
    this.#connect();
    this.#panel.append(
      this.#head.root, this.#editor.names, this.#head.meta, this.#value.root,
      this.#actions.expiry, this.#actions.root, this.#editor.root, this.#problem,
      this.#earlier.root);
    setInterval(() => {
      if (document.hidden) return;
      if (this.#source.entry?.expiresAt) this.#head.drawMeta(api.now);
      this.#value.tick(api.now);
    }, COUNTDOWN_MS);
  }

  // The key; null while none is shown or a new one is written.
  get key() {
    return this.#source.key;
  }

  get ns() {
    return this.#source.ns;
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  isShowing(key, ns) {
    return this.isOpen && key === this.key && ns === this.ns;
  }

  // Resolves to false if the user wants to keep an unsaved edit.
  async mayLeave() {
    if (!this.isOpen) return true;
    const isSaved = await this.#editing?.finish() ?? true;
    if (isSaved && !this.#editor.isEdited) return true;
    const name = this.key === null ? "The new key" : `What you wrote for ${this.key}`;
    return ask(`${name} is not saved.`, "Discard", "Keep editing");
  }

  show(key, ns) {
    if (this.isShowing(key, ns)) return;
    this.#begin(key, ns);
    this.#source.refresh();
    this.#panel.focus({ preventScroll: true });
  }

  // Shows an empty form for a new key.
  create(ns) {
    this.#begin(null, ns);
    this.#actions.hide();
    this.#editor.openForNewKey();
  }

  close() {
    if (!this.isOpen) return;
    this.#editing?.giveUp();
    this.#source.end();
    this.#panel.hidden = true;
    document.body.classList.remove("with-detail");
    this.onClose();
  }

  // Takes an event of cache-events.
  apply({ event, data }) {
    if (this.key === null) return;
    const isOurs = data.key === this.key && (data.ns ?? "") === this.ns;
    if (isOurs || event === "clear") this.#source.refresh();
  }

  doubt() {
    this.#source.doubt();
  }

  setOnline(isOnline) {
    this.#panel.classList.toggle("stale", !isOnline);
    if (isOnline && this.isOpen && this.key !== null) this.#loadEditing();
  }

  #connect() {
    this.#source.onEntry = (change) => this.#draw(change);
    this.#source.onProblem = (text) => say(this.#problem, text);
    this.#head.onClose = async () => await this.mayLeave() && this.close();
    this.#actions.onEdit = () => this.#edit();
    this.#actions.onDelete = () => this.#editing?.giveUp();
    this.#editor.onCancel = () => this.#cancel();
    this.#editor.onClose = () => this.#actions.show();
    this.#editor.onCreated = (key, ns) => this.onCreated(key, ns);
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#escape();
    });
  }

  // Opens the editor, after what is typed in the tree is saved.
  async #edit() {
    if (this.#editing?.isEdited) {
      if (!await this.#editing.finish()) return;
      if (!await this.#source.attempt(() => this.#source.reload())) return;
    }
    this.#actions.hide();
    this.#editor.open();
  }

  #begin(key, ns) {
    this.#source.begin(key, ns);
    this.#panel.hidden = false;
    document.body.classList.add("with-detail");
    this.#head.begin();
    this.#value.begin(key === null);
    if (key !== null) this.#loadEditing();
    this.#actions.begin();
    this.#earlier.begin();
    say(this.#problem, "");
    this.#editor.begin();
  }

  // Loads what draws and edits the tree of a value, once; again after the server was away.
  async #loadEditing() {
    if (this.#editing) return;
    const loaded = await import("./editing.js").catch(() => null);
    if (!loaded) this.#source.onProblem(AWAY);
    else if (this.#problem.textContent === AWAY) say(this.#problem, "");
    if (!loaded || this.#editing) return;
    const where = { api: this.#api, operations: this.#operations, source: this.#source };
    this.#editing = new loaded.Editing(where, this.#changes);
    this.#editing.onHistory = () => this.#earlier.open();
    this.#value.useTree(this.#editing);
  }

  #draw({ isFirst, isOther }) {
    const { entry } = this.#source;
    if (isFirst) this.#loadEditing(); // the server answers again, if it did not before
    this.#head.drawMeta(this.#api.now);
    if (isOther) this.#value.show(entry?.text, isFirst);
    this.#value.tick(this.#api.now);
    this.#actions.update();
    this.#editor.compare();
    this.#earlier.update();
  }

  #cancel() {
    if (this.key === null) this.close();
    else this.#editor.close();
  }

  // Handles Escape, which must not discard typed text.
  #escape() {
    if (!this.#actions.expiry.hidden) this.#actions.closeExpiry();
    else if (!this.#editor.isOpen) this.close();
    else if (!this.#editor.isEdited) this.#cancel();
  }
}

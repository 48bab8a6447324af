// The actions for a key: edit it, change the expiry of its value, delete it and restore it.

import { button, element } from "../../lib/dom.js";
import { message } from "../../net/operations.js";
import { copyMenuButton } from "../copybutton.js";

export class Actions {
  onEdit = () => {};
  root;
  expiry; // a form that replaces the buttons
  #operations;
  #source;
  #life;
  #removed = null;
  #edit = button("Edit", () => this.onEdit(), { class: "small primary" });
  #expire = button("Expiry", () => this.#openExpiry());
  #remove = button("Delete", () => this.#delete(), { class: "small danger" });
  #restore = button("Put back", () => this.#putBack());

  constructor(operations, source, life, place) {
    this.#operations = operations;
    this.#source = source;
    this.#life = life;
    this.root = element("div", { class: "actions" },
      this.#edit, this.#expire, this.#restore, this.#remove,
      copyMenuButton(() => this.#copied(), place, (text) => source.onProblem(text)));
    this.expiry = element("form", { class: "inline-form" }, life.root,
      element("button", { class: "small primary" }, "Apply"),
      button("Cancel", () => this.closeExpiry()));
    this.expiry.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#applyExpiry();
    });
  }

  begin() {
    this.#removed = null;
    this.root.hidden = this.#source.key === null;
    this.expiry.hidden = true;
  }

  update() {
    const { entry } = this.#source;
    this.#life.name(entry?.then !== undefined);
    this.#remove.disabled = this.#expire.disabled = !entry;
    this.#restore.hidden = Boolean(entry) || this.#removed === null;
  }

  // Hides the actions while the value is edited.
  hide() {
    this.closeExpiry();
    this.root.hidden = true;
  }

  show() {
    this.root.hidden = false;
    this.#edit.focus();
  }

  closeExpiry() {
    if (this.expiry.hidden) return;
    this.expiry.hidden = true;
    this.root.hidden = false;
    this.#expire.focus();
  }

  // Returns what can be copied: reading the key, and setting it to the present value.
  #copied() {
    const { key, ns, entry } = this.#source;
    return [
      ...entry ? [{
        title: "Set this value", isStored: true, text: message("set", key, ns, { value: entry.text }),
      }] : [],
      { title: "Read the key", text: message("get", key, ns) },
    ];
  }

  #openExpiry() {
    this.#life.offer(this.#source.remaining);
    this.expiry.hidden = false;
    this.root.hidden = true;
    this.#life.focus();
  }

  async #applyExpiry() {
    const { entry, remaining } = this.#source;
    if (!entry) return;
    const expiry = { ttl: this.#life.ttl(remaining), then: entry.then };
    if (await this.#change("touch", entry.revision, expiry)) this.closeExpiry();
  }

  // Deletes the value that is shown, and no other one.
  async #delete() {
    const { entry, remaining } = this.#source;
    if (!await this.#change("remove", entry.revision)) return;
    this.#removed = { text: entry.text, expiry: { ttl: remaining, then: entry.then } };
    this.#edit.focus();
  }

  async #putBack() {
    const { text, expiry } = this.#removed;
    if (await this.#change("set", 0, text, expiry)) this.#removed = null;
    this.#edit.focus();
  }

  async #change(name, revision, ...more) {
    const { key, ns } = this.#source;
    const isDone = await this.#source.attempt(
      () => this.#operations[name](key, ns, revision, ...more));
    this.#source.refresh();
    return isDone;
  }
}

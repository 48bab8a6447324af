// The actions for a key: edit it, change the expiry of its value, delete it.

import { button, element } from "../../lib/dom.js";
import { message } from "../../net/operations.js";
import { copyMenuButton } from "../copybutton.js";

export class Actions {
  onEdit = () => {};
  onDelete = () => {}; // the key is about to be deleted
  root;
  expiry; // a form that replaces the buttons
  #operations;
  #source;
  #changes;
  #life;
  #edit = button("Edit", () => this.onEdit(), { class: "small primary" });
  #expire = button("Expiry", () => this.#openExpiry());
  #remove = button("Delete", () => this.#delete(), { class: "small danger" });

  constructor(operations, source, changes, life, place) {
    this.#operations = operations;
    this.#source = source;
    this.#changes = changes;
    this.#life = life;
    this.root = element("div", { class: "actions" },
      this.#edit, this.#expire, this.#remove,
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
    this.root.hidden = this.#source.key === null;
    this.expiry.hidden = true;
  }

  update() {
    const { entry } = this.#source;
    this.#life.name(entry?.then !== undefined);
    this.#remove.disabled = this.#expire.disabled = !entry;
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
    const isDone = await this.#change({ text: entry.text }, undefined,
      (key, ns) => this.#operations.touch(key, ns, entry.revision, expiry));
    if (isDone) this.closeExpiry();
  }

  // Deletes the value that is shown, and no other one.
  async #delete() {
    const { entry, key } = this.#source;
    this.onDelete();
    const isDone = await this.#change(null, `Deleted “${key}”.`,
      (key, ns) => this.#operations.remove(key, ns, entry.revision));
    if (isDone) this.#edit.focus();
  }

  // Makes a change; `after` is the entry after it, null for none.
  async #change(after, words, act) {
    const { key, ns, kept } = this.#source;
    const isDone = await this.#source.attempt(async () => {
      await act(key, ns);
      this.#changes.add({ key, ns, before: kept, after, words });
    });
    this.#source.refresh();
    return isDone;
  }
}

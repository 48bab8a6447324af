// The actions for a key: edit it, change the expiry of its value, delete it and restore it.

import { button, element } from "../../lib/dom.js";

export class Actions {
  onEdit = () => {};
  root;
  expiry; // a form that replaces the buttons
  #api;
  #source;
  #life;
  #removed = null;
  #edit = button("Edit", () => this.onEdit(), { class: "small primary" });
  #expire = button("Expiry", () => this.#openExpiry());
  #remove = button("Delete", () => this.#delete(), { class: "small danger" });
  #restore = button("Put back", () => this.#putBack());

  constructor(api, source, life) {
    this.#api = api;
    this.#source = source;
    this.#life = life;
    this.root = element("div", { class: "actions" },
      this.#edit, this.#expire, this.#restore, this.#remove);
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

  #openExpiry() {
    this.#life.offer(this.#source.remaining);
    this.expiry.hidden = false;
    this.root.hidden = true;
    this.#life.focus();
  }

  // Sets the present value again with the chosen expiry, as an expiry can only be set with a value.
  async #applyExpiry() {
    const { key, ns, entry, remaining } = this.#source;
    if (!entry) return;
    const ttl = this.#life.ttl(remaining);
    const set = () => this.#api.set(key, ns, entry.text, ttl, entry.revision);
    if (await this.#source.attempt(set)) this.closeExpiry();
    this.#source.refresh();
  }

  async #delete() {
    const { key, ns, entry, remaining } = this.#source;
    if (!await this.#source.attempt(() => this.#api.remove(key, ns))) return;
    this.#removed = { text: entry.text, ttl: remaining };
    this.#source.refresh();
    this.#edit.focus();
  }

  async #putBack() {
    const { key, ns } = this.#source;
    const { text, ttl } = this.#removed;
    const set = () => this.#api.set(key, ns, text, ttl, 0);
    if (await this.#source.attempt(set)) this.#removed = null;
    this.#source.refresh();
    this.#edit.focus();
  }
}

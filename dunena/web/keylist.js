// The keys that exist, page by page; choosing one follows it.

import { byId, count, element, say } from "./dom.js";

const PAGE_KEYS = 100;
const RELOAD_KEYS_MAX = 1000; // what the server gives at once

export class KeyList {
  #api;
  #choose;
  #keys = [];
  #cursor = 0;
  #ns = "";
  #items = new Map(); // key -> list item, so that a reload leaves what did not change alone
  #followed = () => false;
  #revision = null;
  #loads = 0;
  #list = byId("keys-list");
  #more = byId("keys-more");

  // choose(key, ns) is called with the key that was chosen.
  constructor(api, choose) {
    this.#api = api;
    this.#choose = choose;
    byId("keys-form").addEventListener("submit", (event) => event.preventDefault());
    byId("keys-form").addEventListener("input", () => this.#reload());
    byId("keys-refresh").addEventListener("click", () => this.#reload());
    this.#more.addEventListener("click", () => this.#load(this.#cursor, PAGE_KEYS));
  }

  // The store changed since the list was loaded, if this is another revision.
  sawRevision(revision) {
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#reload();
  }

  // isFollowed(key, ns) says which keys are followed already.
  mark(isFollowed) {
    this.#followed = isFollowed;
    for (const [key, item] of this.#items) this.#markItem(key, item);
  }

  #reload() {
    const wanted = Math.max(PAGE_KEYS, this.#keys.length);
    return this.#load(0, Math.min(wanted, RELOAD_KEYS_MAX));
  }

  async #load(cursor, keyCount) {
    this.#loads += 1;
    const load = this.#loads;
    const ns = byId("keys-ns").value;
    const pattern = byId("keys-pattern").value;
    let page;
    try {
      page = await this.#api.keys({ pattern, ns, cursor, count: keyCount });
    } catch (error) {
      if (load === this.#loads) say(byId("keys-problem"), error.message);
      return;
    }
    if (load !== this.#loads) return; // a later request has been made since
    say(byId("keys-problem"), "");
    if (ns !== this.#ns) this.#items.clear();
    this.#ns = ns;
    this.#keys = cursor ? [...this.#keys, ...page.keys] : page.keys;
    this.#cursor = page.cursor;
    this.#draw();
  }

  #draw() {
    const items = new Map();
    for (const key of this.#keys) items.set(key, this.#items.get(key) ?? this.#item(key));
    this.#items = items;
    const wanted = [...items.values()];
    const shown = [...this.#list.children];
    if (wanted.length !== shown.length || wanted.some((item, index) => item !== shown[index])) {
      const focused = document.activeElement;
      this.#list.replaceChildren(...wanted);
      if (this.#list.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.#more.hidden = this.#cursor === 0;
    byId("keys-count").textContent =
      `${count(this.#keys.length, "key")}${this.#cursor ? ", there are more" : ""}`;
  }

  #item(key) {
    const ns = this.#ns;
    const button = element("button", { type: "button", onclick: () => this.#choose(key, ns) }, key);
    const item = element("li", {}, button);
    this.#markItem(key, item);
    return item;
  }

  #markItem(key, item) {
    item.firstElementChild.setAttribute("aria-pressed", Boolean(this.#followed(key, this.#ns)));
  }
}

// The view of all keys: the namespaces, the table of keys and the details of one key.

import { byId, say, setText } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { hashOf, parseHash } from "../lib/hash.js";
import { KeySource } from "../net/keysource.js";
import { Detail } from "./detail/detail.js";
import { KeyTable } from "./keytable.js";
import { Namespaces } from "./namespaces.js";

const TYPING_MS = 200;

export class KeysView {
  #source;
  #table;
  #namespaces;
  #detail;
  #typing = 0;
  #isShown = false;
  #isOnline = false;
  #isGoingBack = false;
  #revision = null;
  #filter = byId("keys-filter");
  #sort = byId("keys-sort");

  constructor(api, operations) {
    this.#source = new KeySource(api);
    this.#table = new KeyTable(byId("keys-grid"), this.#source, () => api.now);
    this.#namespaces = new Namespaces(api);
    this.#detail = new Detail(api, operations);
    this.#source.onChange = () => this.#draw();
    this.#source.onUpdate = (entry) => this.#table.markChanged(entry);
    this.#table.onLook = (first, last) => this.#source.look(first, last);
    this.#table.onChoose = (key) => this.open(key, this.#source.ns);
    this.#namespaces.onChoose = (ns) => this.#list({ ns });
    this.#detail.onClose = () => {
      this.#table.choose(null);
      this.#table.focus();
      if (history.state?.isOverList && parseHash(location.hash).view === "keys") {
        this.#isGoingBack = true;
        history.back(); // otherwise the user's next Back would have no visible effect
      } else this.#note();
    };
    window.addEventListener("popstate", () => {
      if (!this.#isGoingBack) return;
      this.#isGoingBack = false;
      this.#note(); // another key may have been opened meanwhile
    });
    this.#detail.onCreated = (key, ns) => this.open(key, ns);
    this.#filter.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#list({ pattern: this.#pattern() }), TYPING_MS);
    });
    this.#sort.addEventListener("click", () => {
      const order = this.#source.order === "asc" ? "desc" : "asc";
      byId("keys-head").setAttribute("aria-sort", order === "asc" ? "ascending" : "descending");
      this.#list({ order });
    });
    byId("keys-new").addEventListener("click", () => this.#create());
    document.addEventListener("visibilitychange", () => this.#pace());
  }

  show(isShown) {
    this.#isShown = isShown;
    this.#pace();
    if (isShown) this.#table.redraw();
  }

  // --- the shown key and its address ---
    // The part of the address that names the key: it can be shared, and Back closes the key.
  get hash() {
    const { isOpen, key, ns } = this.#detail;
    if (!isOpen) return "#keys";
    return key === null ? "#keys?new" : hashOf(key, ns);
  }

  // Shows the key in the address of the page.
  start() {
    const { view, key, ns } = parseHash(location.hash);
    if (view !== "keys" || key === null) return;
    if (!history.state?.isKey) history.replaceState(null, "", "#keys"); // so that Back closes it
    this.open(key, ns);
  }

  // Follows a change of the address from `before`, by Back, Forward or a link.
  async follow(before) {
    const { view, key, ns } = parseHash(location.hash);
    if (view !== "keys" || location.hash === this.hash) return;
    if (key === null && !this.#detail.isOpen) return;
    if (key !== null && !history.state?.isKey) {
      history.replaceState({ isKey: true, isOverList: new URL(before).hash === "#keys" }, "");
    }
    if (!await this.#detail.mayLeave()) this.#note();
    else if (key === null) this.#detail.close();
    else this.#show(key, ns);
  }

  // Shows a key's details beside the keys of its namespace.
  async open(key, ns) {
    if (this.#detail.isShowing(key, ns) || await this.#detail.mayLeave()) this.#show(key, ns);
  }

  async #create() {
    if (!await this.#detail.mayLeave()) return;
    this.#table.choose(null);
    this.#detail.create(this.#source.ns);
    this.#note();
  }

  // Keeps one entry of the browser's history for the open key, above that of the list. There is
  // another entry below it only if a link was followed from elsewhere.
  #note() {
    if (this.#isGoingBack) return; // this is called again when that is done
    if (!this.#detail.isOpen) history.replaceState(null, "", this.hash);
    else if (history.state?.isKey) history.replaceState(history.state, "", this.hash);
    else history.pushState({ isKey: true, isOverList: true }, "", this.hash);
  }

  #show(key, ns) {
    if (ns !== this.#source.ns) {
      this.#namespaces.chosen = ns;
      this.#filter.value = "";
      this.#list({ ns, pattern: "" });
      this.#namespaces.refresh();
    }
    this.#detail.show(key, ns);
    this.#table.choose(key);
    this.#note();
  }

  // --- changes of the store ---

  setOnline(isOnline) {
    this.#isOnline = isOnline;
    this.#detail.setOnline(isOnline);
    byId("keys-grid").classList.toggle("stale", !isOnline);
    if (isOnline) {
      this.#source.list();
      this.#detail.doubt();
      this.#namespaces.refresh();
    }
    this.#pace();
  }

  receive(message) {
    if (message.channel !== "cache") return;
    this.#source.apply(message);
    this.#detail.apply(message);
  }

  // Takes the store's revision; requests the namespaces again if it has changed.
  sawRevision(revision) {
    if (revision === this.#revision) return;
    this.#revision = revision;
    if (this.#isShown) this.#namespaces.refresh();
  }

  // Returns the pattern for the typed text, which matches anywhere in a key unless it is a pattern.
  #pattern() {
    const text = this.#filter.value.trim();
    return !text || /[*?]/.test(text) ? text : `*${text}*`;
  }

  #list(what) {
    this.#source.list(what);
    this.#table.toTop();
  }

  #pace() {
    this.#source.pause(!this.#isShown || !this.#isOnline || document.hidden);
  }

  #draw() {
    const { total, problem, pattern } = this.#source;
    say(byId("keys-problem"), problem);
    setText(byId("keys-count"), total === null ? "" : count(total, "key"));
    const empty = byId("keys-empty");
    empty.hidden = total !== 0;
    setText(empty, pattern
      ? "No key matches this filter."
      : "No keys yet. Set the first one with “New key”, or from your own program.");
    this.#table.redraw();
  }
}

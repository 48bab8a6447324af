// The view of all keys: the namespaces, the table of keys and the details of one key. Searching
// everywhere, the tree, selecting and importing are loaded when they are first used.

import { byId, say, setText } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { hashOf, parseHash } from "../lib/hash.js";
import { recall, remember } from "../lib/memory.js";
import { AWAY } from "../net/api.js";
import { KeySource } from "../net/keysource.js";
import { Detail } from "./detail/detail.js";
import { KeyTable } from "./keytable.js";
import { Namespaces } from "./namespaces.js";

const TYPING_MS = 200;

export class KeysView {
  onImported = () => {};
  ns = ""; // that of the list
  #api;
  #sources; // list, tree and search, of which one is shown
  #source;
  #table;
  #namespaces;
  #detail;
  #tools = null; // loaded when they are first used
  #typing = 0;
  #order = "asc";
  #isTree = recall("tree", false);
  #isEverywhere = false;
  #isShown = false;
  #isOnline = false;
  #isGoingBack = false;
  #revision = null;
  #filter = byId("keys-filter");
  #sort = byId("keys-sort");

  constructor(api, operations) {
    this.#api = api;
    this.#source = new KeySource(api);
    this.#sources = { list: this.#source };
    this.#table = new KeyTable(byId("keys-grid"), this.#source, () => api.now);
    this.#namespaces = new Namespaces(api);
    this.#detail = new Detail(api, operations);
    this.#follow(this.#source);
    this.#table.onLook = (first, last) => this.#source.look(first, last);
    this.#table.onChoose = ({ key, ns = this.ns }) => this.open(key, ns);
    this.#table.onPick = (...which) => this.#use((tools) => tools.pick(...which));
    this.#table.onPickAll = () => this.#use((tools) => tools.pickAll());
    this.#namespaces.onChoose = (ns) => this.#change({ ns });
    this.#namespaces.onChange = () => this.#draw();
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
      this.#typing = setTimeout(() => this.#change(), TYPING_MS);
    });
    this.#sort.addEventListener("click", () => {
      this.#order = this.#order === "asc" ? "desc" : "asc";
      byId("keys-head").setAttribute("aria-sort", `${this.#order}ending`);
      this.#list();
    });
    byId("keys-everywhere").addEventListener("click", () => {
      this.#change({ isEverywhere: !this.#isEverywhere });
      this.#filter.focus();
    });
    for (const name of ["list", "tree"]) {
      byId(`keys-as-${name}`).addEventListener("click", () => {
        this.#isTree = name === "tree";
        remember("tree", this.#isTree);
        this.#list();
      });
    }
    byId("keys-new").addEventListener("click", () => this.#create());
    byId("keys-import").addEventListener("click", () => this.#use((tools) => tools.importFiles()));
    byId("view-keys").addEventListener("dragenter", () => this.#use(() => {}), { once: true });
    document.addEventListener("visibilitychange", () => this.#pace());
    this.#drawModes();
  }

  show(isShown) {
    this.#isShown = isShown;
    this.#pace();
    if (!isShown) return;
    this.#table.redraw();
    if (this.#isOnline) this.#namespaces.refresh();
  }

  // --- the shown key and its address ---

  // The part of the address that names the key, or the list: it can be shared, and Back closes the
  // key.
  get hash() {
    const { isOpen, key, ns } = this.#detail;
    const what = { isNew: isOpen && key === null, q: this.#q, isEverywhere: this.#isEverywhere };
    return isOpen && key !== null ? hashOf(key, ns, what) : hashOf(null, this.ns, what);
  }

  // Shows what the address of the page names.
  start() {
    const { view, key, ns, ...what } = parseHash(location.hash);
    if (view !== "keys") return;
    this.#list({ ns, ...what });
    if (key === null) return;
    if (!history.state?.isKey) history.replaceState(null, "", hashOf(null, ns, what)); // for Back
    this.open(key, ns);
  }

  // Follows a change of the address from `before`, by Back, Forward or a link.
  async follow(before) {
    const { view, key, ns, ...what } = parseHash(location.hash);
    if (view !== "keys" || location.hash === this.hash) return;
    if (key !== null && !history.state?.isKey) {
      const from = parseHash(new URL(before).hash);
      const isOverList = from.view === "keys" && from.key === null && !from.isNew;
      history.replaceState({ isKey: true, isOverList }, "");
    }
    if (!await this.#detail.mayLeave()) return this.#note();
    // Back from a key to its list shows the list as it is by now.
    const isBack = history.state?.isList && this.#detail.isOpen;
    const shown = hashOf(null, this.ns, { q: this.#q, isEverywhere: this.#isEverywhere });
    if (!isBack && hashOf(null, ns, what) !== shown) this.#list({ ns, ...what });
    if (key !== null) return this.#show(key, ns);
    return this.#detail.isOpen ? this.#detail.close() : this.#note();
  }

  // Shows a key's details beside the keys of its namespace.
  async open(key, ns) {
    if (this.#detail.isShowing(key, ns) || await this.#detail.mayLeave()) this.#show(key, ns);
  }

  async #create() {
    if (!await this.#detail.mayLeave()) return;
    this.#table.choose(null);
    this.#detail.create(this.ns);
    this.#note();
  }

  // Keeps one entry of the browser's history for the open key, above that of the list. There is
  // another entry below it only if a link was followed from elsewhere.
  #note() {
    if (this.#isGoingBack) return; // this is called again when that is done
    if (!this.#detail.isOpen) history.replaceState({ isList: true }, "", this.hash);
    else if (history.state?.isKey) history.replaceState(history.state, "", this.hash);
    else {
      history.replaceState({ isList: true }, "");
      history.pushState({ isKey: true, isOverList: true }, "", this.hash);
    }
  }

  #show(key, ns) {
    if (ns !== this.ns && this.#kind !== "search") this.#list({ ns, q: "" });
    this.#detail.show(key, ns);
    this.#table.choose(key, ns);
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
    this.#namespaces.apply(message);
  }

  // Takes the store's revision; requests the namespaces again if it has changed.
  sawRevision(revision) {
    if (revision === this.#revision) return;
    this.#revision = revision;
    if (this.#isShown) this.#namespaces.refresh();
  }

  // --- what is listed, and how ---

  get #q() {
    return this.#filter.value.trim();
  }

  get #kind() {
    if (this.#isEverywhere && this.#q) return "search";
    return this.#isTree ? "tree" : "list";
  }

  // The typed text as a pattern, which matches anywhere in a key unless the text is a pattern.
  get pattern() {
    const text = this.#q;
    return !text || /[*?]/.test(text) ? text : `*${text}*`;
  }

  // Shows what the fields and these changes ask for.
  #list({ ns = this.ns, q, isEverywhere = this.#isEverywhere } = {}) {
    clearTimeout(this.#typing);
    if (q !== undefined && q !== this.#q) this.#filter.value = q;
    if (ns !== this.ns) this.#tools?.clear();
    this.ns = ns;
    this.#isEverywhere = isEverywhere;
    if (this.#namespaces.chosen !== ns) this.#namespaces.choose(ns);
    this.#drawModes();
    this.#sort.disabled = this.#kind !== "list";
    const source = this.#sources[this.#kind];
    if (!source) {
      this.#use(() => this.#list()); // something else may be wanted by then
      return;
    }
    if (source !== this.#source) {
      this.#source.pause(true);
      this.#source = source;
      this.#table.show(source);
      this.#pace();
    }
    source.list({ ns, pattern: this.pattern, order: this.#order, q: this.#q });
    this.#table.toTop();
  }

  #change(what) {
    this.#list(what);
    this.#note();
  }

  #follow(source) {
    source.onChange = () => source === this.#source && this.#draw();
    source.onUpdate = (entry) => this.#table.markChanged(entry);
  }

  // Calls act() with the tools, which are loaded first.
  async #use(act) {
    try {
      if (!this.#tools) {
        const { KeyTools } = await import("./tools/keytools.js");
        this.#tools ??= new KeyTools(this.#api, this.#table, {
          listed: () => ({ source: this.#source, kind: this.#kind, ns: this.ns,
            pattern: this.pattern, order: this.#order, q: this.#q }),
          imported: (ns) => {
            this.onImported();
            if (ns !== undefined) this.#change({ ns, q: "" });
          },
        });
        Object.assign(this.#sources, this.#tools.sources);
        for (const made of Object.values(this.#sources)) this.#follow(made);
      }
    } catch {
      say(byId("keys-problem"), AWAY);
      return;
    }
    act(this.#tools);
  }

  #pace() {
    this.#source.pause(!this.#isShown || !this.#isOnline || document.hidden);
  }

  #drawModes() {
    const pressed = { everywhere: this.#isEverywhere, "as-list": !this.#isTree,
      "as-tree": this.#isTree };
    for (const name in pressed) byId(`keys-${name}`).setAttribute("aria-pressed", pressed[name]);
    this.#filter.placeholder = this.#isEverywhere
      ? "Search keys and values everywhere" : "Filter: score, player-*";
  }

  #draw() {
    const { total, problem } = this.#source;
    say(byId("keys-problem"), problem);
    setText(byId("keys-count"), total === null ? "" : this.#source.summary ?? count(total, "key"));
    const empty = byId("keys-empty");
    empty.hidden = total !== 0;
    if (total === 0) this.#drawEmpty(empty);
    this.#table.redraw();
  }

  async #drawEmpty(line) {
    const loaded = await import("./emptylist.js").catch(() => null);
    loaded?.drawEmpty(line, this.#kind === "search", this.#q, this.#namespaces.others,
      (what) => this.#change(what));
  }
}

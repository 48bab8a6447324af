// The keys of a namespace as a tree of their names. All names are loaded, page by page, and follow
// the events of the store; entries are requested for the rows that are visible.

import { count } from "../lib/format.js";
import { globMatcher } from "../lib/glob.js";
import { KeyTree } from "../lib/keytree.js";

const PAGE = 1000;
const NAMED_MAX = 500; // keys requested by name at once
const ENTRIES_MAX = 6000;
const OPEN_BY_ITSELF_MAX = 200; // keys of a filtered tree that is shown open
const CHANGED_MS = 120;
const ARRANGED_MS = 250; // between two changes of the rows
const RETRY_MS = 2000;

export class TreeSource {
  ns = "";
  total = null; // rows; null while unknown
  problem = "";
  onChange = () => {};
  onUpdate = () => {}; // (entry): a known entry has another value
  #api;
  #pattern = "";
  #matches = () => true;
  #tree = new KeyTree();
  #loading = null; // the tree that is loaded to replace it
  #rows = [];
  #turned = new Set(); // paths of folders that are not as they are by themselves
  #entries = new Map();
  #dirty = new Set();
  #epoch = 0;
  #first = 0;
  #last = 0;
  #isPaused = true;
  #isAsking = false;
  #timer = 0;
  #arranging = 0;
  #needsNames = true;

  constructor(api) {
    this.#api = api;
  }

  get summary() {
    return `${count((this.#loading ?? this.#tree).count, "key")}${this.#loading ? " …" : ""}`;
  }

  list({ ns = this.ns, pattern = this.#pattern } = {}) {
    if (ns !== this.ns || pattern !== this.#pattern) {
      this.#tree = new KeyTree();
      this.#rows = [];
      this.total = null;
      this.#turned.clear();
    }
    this.ns = ns;
    this.#pattern = pattern;
    this.#matches = globMatcher(pattern);
    this.#entries.clear();
    this.#dirty.clear();
    this.#epoch += 1;
    this.#loading = null;
    this.#needsNames = true;
    this.#work();
    this.onChange();
  }

  pause(isPaused) {
    this.#isPaused = isPaused;
    if (!isPaused) this.#work();
  }

  look(first, last) {
    this.#first = first;
    this.#last = last;
    this.#soonAsk();
  }

  at(index) {
    const row = this.#rows[index];
    if (row?.folder) row.preview = count(row.folder.count, "key");
    return row && (row.folder ? row : { ...this.#entries.get(row.key), ...row });
  }

  // Opens a folder, or closes it.
  toggle(index) {
    const { path } = this.#rows[index].folder;
    if (!this.#turned.delete(path)) this.#turned.add(path);
    this.#arrange();
  }

  // Opens or closes a row as the arrow keys of a tree do; returns the row to go to.
  turn(index, isOpening) {
    const row = this.#rows[index];
    if (!row) return index;
    if (row.folder && row.isOpen !== isOpening) {
      this.toggle(index);
      return index;
    }
    if (isOpening) return row.folder ? index + 1 : index;
    let above = index - 1;
    while (above >= 0 && this.#rows[above].depth >= row.depth) above -= 1;
    return above < 0 ? index : above;
  }

  // Takes an event of cache-events.
  apply({ event, data }) {
    if (event === "clear") this.list();
    if (event === "clear" || (data.ns ?? "") !== this.ns || !this.#matches(data.key)) return;
    if (event !== "set") {
      this.#forget([data.key]);
      return;
    }
    const isNew = this.#tree.add(data.key);
    this.#loading?.add(data.key);
    if (isNew) this.#soonArrange();
    else if (this.#entries.has(data.key)) this.#dirty.add(data.key);
    this.#soonAsk();
  }

  #forget(keys) {
    for (const key of keys) {
      this.#loading?.remove(key);
      this.#entries.delete(key);
      this.#tree.remove(key);
    }
    this.#soonArrange();
  }

  async #work() {
    this.#soonAsk();
    if (this.#isPaused || this.#loading || !this.#needsNames) return;
    const epoch = this.#epoch;
    const tree = new KeyTree();
    this.#loading = tree;
    let cursor = 0;
    try {
      do {
        const query = new URLSearchParams(
          { ns: this.ns, pattern: this.#pattern || "*", cursor, count: PAGE });
        const answer = await this.#api.ask(`keys?${query}`);
        if (epoch !== this.#epoch) return;
        for (const key of answer.keys) tree.add(key);
        cursor = answer.cursor;
        if (this.#tree.count < tree.count) this.#tree = tree; // something to look at meanwhile
        if (this.total === null) this.#arrange();
        else this.#soonArrange();
      } while (cursor);
    } catch (error) {
      if (epoch !== this.#epoch) return;
      this.#loading = null;
      this.problem = error.message;
      this.onChange();
      setTimeout(() => this.#work(), RETRY_MS);
      return;
    }
    this.#needsNames = false;
    this.problem = "";
    this.#loading = null;
    this.#tree = tree;
    this.#arrange();
  }

  // Many keys that come and go are one change of the rows.
  #soonArrange() {
    this.#arranging ||= setTimeout(() => this.#arrange(), ARRANGED_MS);
  }

  #arrange() {
    clearTimeout(this.#arranging);
    this.#arranging = 0;
    const isOpen = Boolean(this.#pattern) && this.#tree.count <= OPEN_BY_ITSELF_MAX;
    this.#rows = this.#tree.rows((path) => isOpen !== this.#turned.has(path));
    this.total = this.#rows.length || !this.#needsNames ? this.#rows.length : null;
    this.onChange();
    this.#soonAsk();
  }

  #soonAsk() {
    if (this.#timer || this.#isAsking || this.#isPaused) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#ask();
    }, this.#dirty.size ? CHANGED_MS : 0);
  }

  // Requests the entries of the visible rows that are unknown or have changed.
  async #ask() {
    const keys = this.#rows.slice(this.#first, this.#last + 1).map(({ key }) => key)
      .filter((key) => key !== undefined && (this.#dirty.has(key) || !this.#entries.has(key)))
      .slice(0, NAMED_MAX);
    if (!keys.length || this.#isPaused) return;
    const epoch = this.#epoch;
    for (const key of keys) this.#dirty.delete(key);
    this.#isAsking = true;
    try {
      const { entries } = await this.#api.entriesOf(this.ns, keys);
      if (epoch === this.#epoch) this.#take(entries, keys);
    } catch {
      setTimeout(() => this.#soonAsk(), RETRY_MS);
      return;
    } finally {
      this.#isAsking = false;
    }
    this.#soonAsk();
  }

  #take(entries, keys) {
    if (this.#entries.size > ENTRIES_MAX) this.#entries.clear();
    const gone = new Set(keys);
    for (const entry of entries) {
      gone.delete(entry.key);
      const known = this.#entries.get(entry.key);
      this.#entries.set(entry.key, entry);
      if (known && known.revision !== entry.revision) this.onUpdate(entry);
    }
    if (gone.size) this.#forget(gone);
    this.onChange();
  }
}

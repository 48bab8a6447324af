// The keys of one listing by their position: pages are requested from the server when they come
// into view, and updated by the events of the store.
//
// After an event of a visible key its new entry is requested. An added or deleted key makes all
// pages outdated, and the visible ones are requested again. The server has to sort its keys for
// that, so it is done a few times a second at most, and rarely for changes that may be outside the
// visible part.
//
// A watch of the visible keys would send whole values, and no expiry.

import { globMatcher } from "../lib/glob.js";

const PAGE = 100;
const PAGES_KEPT_MAX = 60;
const REQUESTS_MAX = 2;
const CHANGED_MS = 120; // between two requests for the entries that changed
const CAME_OR_WENT_MS = 400;
const ELSEWHERE_MS = 2500;
const RETRY_MS = 2000;
const NAMED_MAX = 500; // keys requested by name at once

export class KeySource {
  // The present listing.
  ns = "";
  pattern = "";
  order = "asc";

  total = null; // null while unknown
  problem = "";
  onChange = () => {};
  onUpdate = () => {}; // (entry): a known entry has another value

  #api;
  #pages = new Map(); // number -> { version, rows }
  #version = 0;
  #asking = new Map(); // page -> the version that is requested
  #first = 0;
  #last = 0;
  #entries = new Map(); // key -> entry
  #dirty = new Set();
  #isAskingChanged = false;
  #changedTimer = 0;
  #oldTimer = 0;
  #oldAt = Infinity;
  #matches = () => true;
  #isPaused = true;

  constructor(api) {
    this.#api = api;
  }

  // Lists something else, or the same anew: after a lost connection all pages may be outdated.
  list({ ns = this.ns, pattern = this.pattern, order = this.order } = {}) {
    const isOther = ns !== this.ns || pattern !== this.pattern || order !== this.order;
    Object.assign(this, { ns, pattern, order });
    this.#matches = globMatcher(pattern);
    if (isOther) {
      this.#pages.clear();
      this.#entries.clear();
      this.total = null;
    }
    this.#dirty.clear();
    this.#makeOld();
  }

  // Stops requests while the view is not visible or there is no connection.
  pause(isPaused) {
    this.#isPaused = isPaused;
    if (!isPaused) this.#work();
  }

  // Reports that the rows from first to last are visible.
  look(first, last) {
    this.#first = first;
    this.#last = last;
    this.#work();
  }

  // Returns the entry at a position; undefined while it is unknown.
  at(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.rows[index % PAGE];
  }

  // Takes an event of cache-events.
  apply({ event, data }) {
    if (event === "clear") {
      this.#soon(0);
      return;
    }
    if ((data.ns ?? "") !== this.ns) return;
    const known = this.#entries.get(data.key);
    if (event === "set" && known) {
      this.#dirty.add(data.key);
      this.#soonAskChanged();
    } else if (known) {
      this.#soon(CAME_OR_WENT_MS);
    } else if (this.#matches(data.key)) {
      this.#soon(this.#isOnScreen(data.key) ? CAME_OR_WENT_MS : ELSEWHERE_MS);
    }
  }

  // Returns whether an unknown key would be among the visible ones.
  #isOnScreen(key) {
    if (!this.total || this.#last >= this.total - 1) return true;
    const [low, high] = [this.at(this.#first), this.at(this.#last)];
    if (!low || !high) return true;
    return this.order === "asc" ? key > low.key && key < high.key : key < low.key && key > high.key;
  }

  #soon(ms) {
    const at = Date.now() + ms;
    if (at >= this.#oldAt) return;
    clearTimeout(this.#oldTimer);
    this.#oldAt = at;
    this.#oldTimer = setTimeout(() => this.#makeOld(), ms);
  }

  #makeOld() {
    clearTimeout(this.#oldTimer);
    this.#oldAt = Infinity;
    this.#version += 1;
    this.#work();
    this.onChange();
  }

  #work() {
    if (this.#isPaused) return;
    const from = Math.floor(this.#first / PAGE);
    const to = Math.floor(Math.max(this.#first, this.#last) / PAGE);
    for (let page = from; page <= to; page += 1) {
      const isFresh = this.#pages.get(page)?.version === this.#version;
      const isBeyond = page > 0 && this.total !== null && page * PAGE >= this.total;
      const isAsked = this.#asking.get(page) === this.#version;
      if (isFresh || isBeyond || isAsked || this.#asking.size >= REQUESTS_MAX) continue;
      this.#ask(page);
    }
    if (this.#dirty.size) this.#soonAskChanged();
  }

  async #ask(page) {
    const version = this.#version;
    this.#asking.set(page, version);
    const { ns, pattern, order } = this;
    let answer;
    try {
      answer = await this.#api.entries({ ns, pattern, order, offset: page * PAGE, count: PAGE });
    } catch (error) {
      if (version === this.#version) this.#fail(error);
      return;
    } finally {
      if (this.#asking.get(page) === version) this.#asking.delete(page);
    }
    // The answer is for a former listing, or a later request was answered before.
    if (ns !== this.ns || pattern !== this.pattern || order !== this.order) {
      this.#work();
      return;
    }
    this.problem = "";
    this.total = answer.total;
    this.#put(page, version, answer.entries);
    this.onChange();
    this.#work();
  }

  #fail(error) {
    this.problem = error.message;
    this.onChange();
    setTimeout(() => this.#work(), RETRY_MS);
  }

  #put(number, version, rows) {
    const old = this.#pages.get(number);
    if (old && old.version > version) return;
    this.#forget(number);
    for (const [index, entry] of rows.entries()) {
      const known = this.#entries.get(entry.key);
      // An entry requested by name may be newer than a page requested at the same time.
      if (known && known.revision > entry.revision && known.version === version) rows[index] = known;
      rows[index].version = version;
      if (known && known.revision !== rows[index].revision) this.onUpdate(rows[index]);
      this.#entries.set(entry.key, rows[index]);
      if (version === this.#version && !this.#isAskingChanged) this.#dirty.delete(entry.key);
    }
    this.#pages.set(number, { version, rows });
    while (this.#pages.size > PAGES_KEPT_MAX) this.#forget(this.#pages.keys().next().value);
  }

  #forget(number) {
    for (const entry of this.#pages.get(number)?.rows ?? []) {
      if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    }
    this.#pages.delete(number);
  }

  #soonAskChanged() {
    if (this.#changedTimer || this.#isAskingChanged || this.#isPaused) return;
    this.#changedTimer = setTimeout(() => {
      this.#changedTimer = 0;
      this.#askChanged();
    }, CHANGED_MS);
  }

  // Requests the changed keys that are visible; the others wait until they are.
  async #askChanged() {
    const keys = [];
    for (let index = this.#first; index <= this.#last && keys.length < NAMED_MAX; index += 1) {
      const key = this.at(index)?.key;
      if (key !== undefined && this.#dirty.delete(key)) keys.push(key);
    }
    if (!keys.length || this.#isPaused) return;
    const { ns } = this;
    const version = this.#version;
    this.#isAskingChanged = true;
    try {
      const { entries } = await this.#api.entriesOf(ns, keys);
      if (ns === this.ns) this.#update(entries, version);
      if (entries.length < keys.length) this.#soon(CAME_OR_WENT_MS);
    } catch {
      for (const key of keys) this.#dirty.add(key); // a new connection lists everything again
      return;
    } finally {
      this.#isAskingChanged = false;
    }
    if (this.#dirty.size) this.#soonAskChanged();
  }

  #update(entries, version) {
    for (const entry of entries) {
      const known = this.#entries.get(entry.key);
      if (!known || (known.version >= version && known.revision >= entry.revision)) continue;
      Object.assign(known, entry);
      this.onUpdate(known);
    }
    this.onChange();
  }
}

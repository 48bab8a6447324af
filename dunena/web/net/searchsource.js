// The keys of all namespaces with a text in their name or value, as the server finds them: rows are
// requested as far as they are looked at. After changes of the store the search is made again,
// rarely, as the server has to look at everything for it.

import { whole } from "../lib/format.js";

const PAGE = 100;
const PAGE_MAX = 1000;
const CHARS_MAX = 200; // the server takes no longer text
const AHEAD = 30; // rows below the visible ones from which on more are requested
const AGAIN_MS = 2500;
const COST_FACTOR = 20; // the pause is at least so many times as long as a search
const RETRY_MS = 2000;

export class SearchSource {
  q = "";
  ns = null; // each row has its own
  total = null; // null while unknown
  problem = "";
  onChange = () => {};
  onUpdate = () => {}; // (entry): a known entry has another value
  #api;
  #rows = [];
  #cursor = null; // null when everything was searched
  #abort = null; // of the request that runs
  #isPaused = true;
  #isOld = true; // the rows are of another text, or something has changed
  #timer = 0;
  #cost = 0;
  #last = 0;

  constructor(api) {
    this.#api = api;
  }

  get summary() {
    const found = `${whole(this.total)} found`;
    if (!this.#abort && this.#cursor === null) return found;
    return this.#abort ? `${found}, searching …` : `${found}, there are more`;
  }

  list({ q = this.q } = {}) {
    this.#abort?.abort();
    this.#abort = null;
    if (q !== this.q) {
      this.total = null;
      this.#rows = [];
    }
    this.q = q;
    this.#isOld = true;
    this.#work();
    this.onChange();
  }

  pause(isPaused) {
    this.#isPaused = isPaused;
    if (!isPaused) this.#work();
  }

  look(_first, last) {
    this.#last = last;
    this.#work();
  }

  at(index) {
    return this.#rows[index];
  }

  // Takes an event of cache-events.
  apply() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#isOld = true;
      this.#work();
    }, Math.max(AGAIN_MS, COST_FACTOR * this.#cost));
  }

  async #work() {
    if (this.#isPaused || this.#abort || !this.q) return;
    const needsMore = this.#cursor !== null
      && (this.#rows.length < PAGE || this.#last + AHEAD >= this.#rows.length);
    if (!this.#isOld && !needsMore) return;
    const isFirst = this.#isOld;
    const abort = new AbortController();
    this.#abort = abort;
    const began = performance.now();
    const size = isFirst ? Math.min(PAGE_MAX, Math.max(PAGE, this.#rows.length)) : PAGE;
    const query = new URLSearchParams(
      { q: this.q.slice(0, CHARS_MAX), count: size, cursor: isFirst ? "" : this.#cursor });
    let answer;
    try {
      answer = await this.#api.ask(`search?${query}`, { signal: abort.signal });
    } catch (error) {
      if (abort !== this.#abort) return; // another text is searched for by now
      this.#abort = null;
      this.problem = error.message;
      this.onChange();
      setTimeout(() => this.#work(), RETRY_MS);
      return;
    }
    if (abort !== this.#abort) return;
    this.#abort = null;
    this.#take(answer, isFirst);
    this.#cost = performance.now() - began;
    this.onChange();
    this.#work();
  }

  #take({ entries, cursor }, isFirst) {
    this.problem = "";
    this.#isOld = false;
    const known = new Map(this.#rows.map((row) => [`${row.ns}\n${row.key}`, row.revision]));
    for (const entry of entries) {
      if (entry.excerpt) entry.preview = `…${entry.excerpt}`;
      const revision = known.get(`${entry.ns}\n${entry.key}`);
      if (revision !== undefined && revision !== entry.revision) this.onUpdate(entry);
    }
    this.#rows = isFirst ? entries : this.#rows.concat(entries);
    this.#cursor = cursor;
    this.total = this.#rows.length;
  }
}

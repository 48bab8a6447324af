// The present entry of one key, requested again after each change, one request at a time. It is not
// watched: an update has no expiry, and an edit that keeps the expiry needs value, revision and
// expiry of one moment.

const CHANGED_MS = 40; // between two requests for a value that changes all the time

export class EntrySource {
  onEntry = () => {}; // ({ isFirst, isOther }): it is the first entry; its value is another one
  onProblem = () => {}; // (text), "" when the problem is over
  key = null; // null while no key is shown or a new one is written
  ns = "";
  entry; // { text, then, size, revision, expiresAt }; null for no value, undefined while unknown
  #api;
  #isAsking = false;
  #asksAgain = false;
  #epoch = 0; // changes with the key and the connection: answers of an older one are ignored

  constructor(api) {
    this.#api = api;
  }

  // The ms until the value expires; 0 if it does not.
  get remaining() {
    return this.kept?.ttl ?? 0;
  }

  // The entry as it can be brought back: { text, revision, ttl, then }; null for no value.
  get kept() {
    return this.keptOf(this.entry);
  }

  keptOf(entry) {
    if (!entry) return null;
    const ttl = entry.expiresAt ? Math.max(1, Math.round(entry.expiresAt - this.#api.now)) : 0;
    return { text: entry.text, revision: entry.revision, ttl, then: entry.then };
  }

  begin(key, ns) {
    this.#epoch += 1;
    Object.assign(this, { key, ns, entry: undefined });
  }

  end() {
    this.#epoch += 1;
    this.key = null;
  }

  // Marks the entry as unknown after a lost connection.
  doubt() {
    this.#epoch += 1;
    this.refresh();
  }

  // Requests the entry, one request at a time, and again if it changed meanwhile.
  async refresh() {
    if (this.key === null) return;
    if (this.#isAsking) {
      this.#asksAgain = true;
      return;
    }
    this.#isAsking = true;
    const epoch = this.#epoch;
    try {
      const entry = await this.#api.entry(this.key, this.ns);
      if (epoch === this.#epoch) this.receive(entry);
    } catch (error) {
      if (epoch === this.#epoch && this.entry === undefined) this.onProblem(error.message);
    }
    this.#isAsking = false;
    if (this.#asksAgain || epoch !== this.#epoch) {
      this.#asksAgain = false;
      setTimeout(() => this.refresh(), CHANGED_MS);
    }
  }

  // Requests the entry once; resolves to it.
  async reload() {
    const { key, ns } = this;
    const entry = await this.#api.entry(key, ns);
    if (this.key === key && this.ns === ns) this.receive(entry);
    return entry;
  }

  receive(entry) {
    const isFirst = this.entry === undefined;
    const isOther = isFirst || entry?.text !== this.entry?.text;
    this.entry = entry;
    if (isFirst) this.onProblem("");
    this.onEntry({ isFirst, isOther });
  }

  // Calls act() and resolves to whether it succeeded; reports a problem to onProblem.
  async attempt(act) {
    const epoch = this.#epoch;
    try {
      await act();
      if (epoch === this.#epoch) this.onProblem("");
      return true;
    } catch (error) {
      if (epoch === this.#epoch) this.onProblem(error.message);
      return false;
    }
  }
}

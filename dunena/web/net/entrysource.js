// One key and its entry as it is now: asked for when something changed, one question at a time.

const CHANGED_MS = 40; // between two questions for a value that changes all the time

export class EntrySource {
  onEntry = () => {}; // ({ isFirst, isOther }): whether it is the first one, and another value
  onProblem = () => {}; // (text), "" when there is none any more
  key = null; // null while there is none, or a new one is written
  ns = "";
  entry; // { text, size, revision, expiresAt }; null for no value, undefined while it is not known
  #api;
  #isAsking = false;
  #asksAgain = false;
  #epoch = 0; // another key, or another connection: older answers do not count

  constructor(api) {
    this.#api = api;
  }

  // What the value has left to live, in ms, 0 for ever.
  get remaining() {
    const at = this.entry?.expiresAt;
    return at ? Math.max(1, Math.round(at - this.#api.now)) : 0;
  }

  begin(key, ns) {
    this.#epoch += 1;
    Object.assign(this, { key, ns, entry: undefined });
  }

  end() {
    this.#epoch += 1;
    this.key = null;
  }

  // After a connection was lost nothing known before counts any more.
  doubt() {
    this.#epoch += 1;
    this.refresh();
  }

  // Asks for the entry; one question at a time, and one more if something came meanwhile.
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

  receive(entry) {
    const isFirst = this.entry === undefined;
    const isOther = isFirst || entry?.text !== this.entry?.text;
    this.entry = entry;
    if (isFirst) this.onProblem("");
    this.onEntry({ isFirst, isOther });
  }

  // Whether act() did what it should; tells of the problem if not.
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

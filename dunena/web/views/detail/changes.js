// What this page has changed, the newest last, so that it can be taken back.

const CHANGES_MAX = 200;
const CHARS_MAX = 20_000_000; // of all values that are held for it

export class Changes {
  onAdd = () => {}; // (change)
  #all = [];

  // Takes a change of a key, { key, ns, words } and either { edit, after } for a place in its value
  // (lib/edits.js) or { before, after }: entries, null for no value. `after` may be null where it
  // is of no use; `words` say what was done, if that is worth a line.
  add(change) {
    this.#all.push(change);
    let chars = 0;
    this.#all = this.#all.slice(-CHANGES_MAX).reverse().filter((one) => {
      chars += lengthOf(one.before) + lengthOf(one.after);
      return chars <= CHARS_MAX;
    }).reverse();
    this.onAdd(change);
  }

  // Returns the last change of a key; undefined if there is none.
  last(key, ns) {
    return this.#all.filter((one) => one.key === key && one.ns === ns).at(-1);
  }

  // Forgets a change, which was taken back.
  drop(change) {
    this.#all = this.#all.filter((one) => one !== change);
  }
}

function lengthOf(entry) {
  return entry?.text?.length ?? 0;
}

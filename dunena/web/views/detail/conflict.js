// The notice that a save would replace another value than the editor began with. While it shows, it
// stands for the value that there was when it began to: that, and no later one, may be replaced.

import { button, element, setText } from "../../lib/dom.js";
import { size } from "../../lib/format.js";

const TAKEN_CHARS_MAX = 100;

export class ConflictNotice {
  onLoad = () => {};
  root;
  #isNew = false; // a key that is to be made
  #seen = null; // the entry that the user was shown
  #text = element("p", {});
  #load = button("Load the new value", () => this.onLoad());

  constructor() {
    this.root = element("div", { class: "notice", role: "alert" }, this.#text, this.#load);
  }

  // The revision that a save may replace, 0 for no value.
  get revision() {
    return this.#seen?.revision ?? 0;
  }

  begin(isNew) {
    this.#isNew = isNew;
    this.#load.hidden = isNew;
  }

  // Takes the entry that there is now; `isOther` says whether it is another value than the editor
  // began with.
  compare(entry, isOther) {
    const isShown = !this.root.hidden;
    if (!isOther || !isShown || entry?.text === this.#seen?.text) this.#seen = entry;
    setText(this.#text, this.#words(entry));
    this.root.hidden = !isOther;
    if (isOther && !isShown) this.root.scrollIntoView({ block: "nearest" });
  }

  // Takes the entry that a save met in place of the one that was seen: to be shown anew.
  meet(entry) {
    this.#seen = entry;
    this.root.hidden = true;
  }

  #words(entry) {
    if (this.#isNew && entry) {
      return `This key has a value already (${size(entry.size)}): ${
        entry.text.slice(0, TAKEN_CHARS_MAX)}`;
    }
    if (!entry) return "The key was removed while you were editing. What you wrote is untouched.";
    const again = entry.text === this.#seen?.text ? "" : " again";
    return `The value changed${again} while you were editing. The new one is shown above; yours is untouched.`;
  }
}

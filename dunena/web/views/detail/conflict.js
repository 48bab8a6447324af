// The notice that a save would replace another value than the editor began with. A save then
// replaces the value that was present when the notice appeared, and no later one.

import { button, element, setText } from "../../lib/dom.js";
import { size } from "../../lib/format.js";

const TAKEN_CHARS_MAX = 100;
const READ_MS = 500; // a click so soon was meant for the button as it was before the notice

export class ConflictNotice {
  onLoad = () => {};
  onRead = () => {}; // the notice has been there for a moment
  isUnread = false;
  root;
  #isNew = false; // the key is a new one
  #seen = null; // the entry that the user has seen
  #text = element("p", {});
  #load = button("Load the new value", () => this.onLoad());

  constructor() {
    this.root = element("div", { class: "notice", role: "alert" }, this.#text, this.#load);
  }

  // The revision that a save may replace; 0 for no value.
  get revision() {
    return this.#seen?.revision ?? 0;
  }

  begin(isNew) {
    this.#isNew = isNew;
    this.#load.hidden = isNew;
  }

  // Takes the present entry; `isOther`: its value is another one than the editor began with.
  compare(entry, isOther) {
    const isShown = !this.root.hidden;
    if (!isOther || !isShown || entry?.text === this.#seen?.text) this.#seen = entry;
    setText(this.#text, this.#words(entry));
    this.root.hidden = !isOther;
    if (!isOther || isShown) return;
    this.root.scrollIntoView({ block: "nearest" });
    this.isUnread = true;
    setTimeout(() => {
      this.isUnread = false;
      this.onRead();
    }, READ_MS);
  }

  // Takes the entry that prevented a save, being another one than the user has seen; shows it.
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

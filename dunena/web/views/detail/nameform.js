// The form for the name of a field of an object: of a new one, or a new name.

import { button, element, say } from "../../lib/dom.js";

export class NameForm {
  onClose = () => {}; // (row, hadFocus)
  root;
  #tree;
  #input = element("input", { autocomplete: "off", autocapitalize: "off", enterkeyhint: "done" });
  #words = element("span", {});
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #onName = null;
  #row = null;

  constructor(tree) {
    this.#tree = tree;
    this.root = element("form", { class: "tree-form" },
      element("label", {}, this.#words, this.#input),
      element("div", { class: "actions" }, element("button", { class: "small primary" }, "Save"),
        button("Cancel", () => this.close())), this.#problem);
    this.root.addEventListener("submit", async (event) => {
      event.preventDefault();
      const name = this.#input.value;
      const problem = name ? await this.#onName(name) : "Type a name.";
      if (problem) say(this.#problem, problem);
      else this.close();
    });
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // it would close the panel
      this.close();
    });
  }

  get isOpen() {
    return this.root.isConnected;
  }

  get isEdited() {
    return this.isOpen && this.#input.value !== this.#input.defaultValue;
  }

  // Asks for a name in a row. onName(name) resolves to a sentence if the name will not do.
  open(row, words, name, onName) {
    this.close();
    this.#row = row;
    this.#onName = onName;
    this.#words.textContent = words;
    this.#input.value = this.#input.defaultValue = name;
    say(this.#problem, "");
    this.#tree.pinned = this.root;
    row.root.append(this.root);
    this.#input.focus({ preventScroll: true });
    this.#input.select();
    this.root.scrollIntoView({ block: "nearest" });
  }

  close() {
    if (!this.isOpen) return;
    const hadFocus = this.root.contains(document.activeElement);
    this.#tree.pinned = null;
    this.root.remove();
    this.onClose(this.#row, hadFocus);
  }
}

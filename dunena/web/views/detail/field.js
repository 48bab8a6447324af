// The field in which one text, number or null of the tree is typed anew. What others write there
// meanwhile is told below it, and never overwritten unasked.

import { button, element, say } from "../../lib/dom.js";
import {
  GONE, isSame, isSamePlace, MOVED, nodeAt, OTHER, Refusal, textOf,
} from "../../lib/edits.js";
import { AS, kindOf, readAs } from "../../lib/typed.js";
import { inWords, shortened } from "./words.js";

const CHARS_MAX = 20_000; // longer texts have the editor of the whole value
const NO_NUMBER = "Only a number fits here, such as 12 or -3.5. The ⋯ beside it makes it a text.";

export class LeafField {
  onSave = async () => null; // (edit, seen, row): resolves to null or the error that it met
  onProblem = () => {}; // what is typed will not do, or somebody else was there before
  onNext = () => null; // (row, by): returns the function that goes to the next leaf, or null
  onClose = () => {}; // (row, hadFocus)
  row = null; // of the tree; null while the field is closed
  root = element("span", { class: "leaf-field" });
  #tree;
  #input;
  #kind;
  #before; // the JSON text that the user has seen there
  #seen; // the node of the value that the user has seen
  #began; // the field's text at first
  #saving = null;
  #note = element("span", { class: "leaf-note", role: "alert", hidden: "" });

  constructor(tree) {
    this.#tree = tree;
    // A field that is closed while the mouse button is down would move what the click is meant for.
    let isPressed = false;
    document.addEventListener("mousedown", () => (isPressed = true), true);
    document.addEventListener("mouseup", () => (isPressed = false), true);
    this.root.addEventListener("focusout", ({ relatedTarget }) => {
      if (!this.row || !document.hasFocus() || this.root.contains(relatedTarget)) return;
      const finish = () => setTimeout(() => this.finish());
      if (isPressed) document.addEventListener("mouseup", finish, { once: true });
      else this.finish();
    });
  }

  get isOpen() {
    return this.row !== null;
  }

  get isEdited() {
    return this.isOpen && this.#input.value !== this.#began;
  }

  // Opens the field in place of a row's value; returns a sentence if that cannot be done.
  open(row) {
    this.#before = row.node.text;
    this.#kind = kindOf(this.#before);
    const text = this.#kind === "string" ? JSON.parse(this.#before) : this.#before;
    if (text.length > CHARS_MAX) return "This text is too long for here. “Edit” opens all of it.";
    this.#seen = this.#tree.node;
    this.#input = this.#build(row.label, this.#kind === "null" ? "" : text);
    this.#began = this.#input.value;
    this.row = row;
    this.#tree.pinned = this.root;
    say(this.#note, "");
    this.root.replaceChildren(this.#input, this.#note);
    const place = row.root.querySelector(".place");
    place.hidden = true;
    place.after(this.root);
    this.#fitHeight();
    this.#input.focus({ preventScroll: true });
    this.#input.select();
    this.root.scrollIntoView({ block: "nearest" });
    return "";
  }

  // Saves what was typed, and closes the field. Resolves to whether it is closed.
  async finish() {
    if (!this.isOpen) return true;
    if (this.#saving) return this.#saving;
    const saving = this.#save().finally(() => {
      if (saving === this.#saving) this.#saving = null;
    });
    this.#saving = saving;
    return saving;
  }

  // Closes the field without saving.
  close() {
    if (!this.isOpen) return;
    const { row } = this;
    const hadFocus = this.root.contains(document.activeElement);
    this.row = null;
    this.#saving = null; // what is opened next does not wait for an answer to this
    this.#tree.pinned = null;
    row.root.querySelector(".place").hidden = false;
    this.root.remove();
    this.onClose(row, hadFocus);
  }

  // Takes that the value is another one, of which the tree has the node; null for no value.
  compare() {
    if (!this.isOpen || this.#saving) return;
    const reason = this.#reason();
    if (reason) this.#refuse(reason);
    else {
      this.#seen = this.#tree.node;
      this.#sayTyped();
    }
  }

  // Returns why the place is not what the user has seen, if it is not.
  #reason() {
    const { path } = this.row;
    const node = this.#tree.node && nodeAt(this.#tree.node, path);
    if (!node) return new Refusal(GONE);
    if (!isSamePlace(this.#seen, this.#tree.node, path)) return new Refusal(MOVED);
    const now = textOf(node);
    return isSame(now, this.#before) ? null : new Refusal(OTHER, now);
  }

  #build(label, text) {
    const isText = this.#kind !== "number";
    const input = element(isText ? "textarea" : "input", {
      "aria-label": `New value of ${label}`, autocomplete: "off", enterkeyhint: "done",
      autocapitalize: "off", rows: isText ? 1 : null, inputmode: isText ? null : "decimal",
      placeholder: this.#kind === "null" ? "Text, or a number" : null,
    });
    input.value = text;
    input.addEventListener("input", () => {
      this.#fitHeight();
      this.#sayTyped();
    });
    input.addEventListener("keydown", (event) => this.#press(event));
    return input;
  }

  #press(event) {
    const { key, shiftKey, isComposing } = event;
    if (isComposing) return;
    if (key === "Escape") this.close();
    else if (key === "Enter" && !shiftKey) this.finish();
    else if (key === "Tab") {
      const go = this.onNext(this.row, shiftKey ? -1 : 1);
      if (!go) return; // the browser goes on, and the field is saved when it is left
      this.finish().then((isClosed) => isClosed && go());
    } else return;
    event.preventDefault();
    event.stopPropagation(); // Escape would close the panel
  }

  get #read() {
    return readAs(this.#kind, this.#input.value);
  }

  // The JSON of what was typed; null if it will not do.
  get #typed() {
    const { json, fault } = this.#read;
    return fault ? null : json;
  }

  async #save() {
    if (!this.isEdited) {
      this.close();
      return true;
    }
    const json = this.#typed;
    const reason = this.#tree.node ? this.#reason() : new Refusal(GONE);
    if (json === null) this.#sayTyped();
    else if (reason) this.#refuse(reason);
    if (json === null || (reason && this.isOpen)) return !this.isOpen;
    if (this.isOpen) await this.#send(json);
    return !this.isOpen;
  }

  async #send(after) {
    const { row } = this;
    const input = this.#input;
    input.readOnly = true;
    const edit = { kind: "replace", path: row.path, before: this.#before, after };
    const error = isSame(this.#before, after) ? null : await this.onSave(edit, this.#seen, row);
    if (!this.isOpen || input !== this.#input) return; // the user has given up
    input.readOnly = false;
    if (!error) this.close();
    else if (error instanceof Refusal) this.#refuse(error);
    else this.#tell(inWords(error));
  }

  // Says why what was typed is not saved, and what can be done.
  #refuse({ reason, found }) {
    const isTheSame = reason === OTHER && this.#typed !== null && isSame(found, this.#typed);
    if (isTheSame || (reason === OTHER && !this.isEdited)) {
      this.close(); // nothing that was typed is lost
      return;
    }
    this.onProblem();
    const save = (text) => button(text, () => this.#overwrite(found));
    const close = (text) => button(text, () => this.close());
    if (reason === OTHER) {
      this.#tell(`Somebody changed this to ${shortened(found)} meanwhile. Yours is not saved.`,
        save("Save mine"), close("Take theirs"));
    } else if (reason === MOVED) {
      this.#tell("The list changed meanwhile: this may be another place now. Yours is not saved.",
        save("Save it here"), close("Give up"));
    } else {
      this.#tell("Somebody removed this meanwhile. What you typed is not saved.", close("Give up"));
    }
  }

  // Saves what is typed in place of what the user has seen by now.
  #overwrite(found) {
    this.#seen = this.#tree.node;
    this.#before = found ?? textOf(nodeAt(this.#seen, this.row.path));
    this.finish();
  }

  // Says what is the matter with what is typed, if anything.
  #sayTyped() {
    const { json, fault } = this.#read;
    this.#input.setAttribute("aria-invalid", json === null || Boolean(fault));
    if (json === null || fault) this.onProblem();
    if (json === null) this.#tell(NO_NUMBER);
    else if (fault) this.#tell(`This cannot be stored: ${fault.reason}.`);
    else if (this.#kind === "null" && this.#input.value) {
      this.#tell(`This will be ${AS[kindOf(json)]}.`);
    } else if (!this.#note.querySelector("button")) say(this.#note, "");
    else if (!this.#reason()) say(this.#note, "");
  }

  #tell(words, ...buttons) {
    const text = element("span", {}, words);
    const isTold = this.#note.firstChild?.textContent === words && !this.#note.hidden;
    if (isTold && buttons.length === this.#note.childElementCount - 1) return;
    this.#note.replaceChildren(text, ...buttons);
    this.#note.hidden = false;
    this.root.scrollIntoView({ block: "nearest" });
  }

  // Makes the field as high as its text.
  #fitHeight() {
    const { style } = this.#input;
    if (this.#kind === "number") return;
    style.height = "auto";
    style.height = `${this.#input.scrollHeight + 2}px`;
  }
}

// A text field for JSON that marks a mistake at its place and describes it.

import { element, setText } from "./dom.js";
import { faultOf } from "./jsonparse.js";

// Length from which on a text is neither wrapped nor marked, and checked only after a pause in
// typing: otherwise a browser would take seconds for each key.
export const LARGE_CHARS = 200_000;
const TYPING_MS = 300;

export class JsonEditor {
  root;
  field;
  verdict = element("p", { class: "verdict", role: "status" });
  fault = null;
  onJudged = () => {};
  findFault = faultOf;
  #timer = 0;
  #marks = element("pre", { class: "marks", "aria-hidden": "true" });
  #jump = element("button", { type: "button", class: "link problem" });

  constructor(label, { rows = 6, placeholder = "" } = {}) {
    this.field = element("textarea", {
      rows, placeholder, "aria-label": label, autocapitalize: "off", autocomplete: "off",
      wrap: "soft",
    });
    this.root = element("div", { class: "json-editor" }, this.#marks, this.field);
    this.field.addEventListener("input", () => this.#judgeSoon());
    this.field.addEventListener("scroll", () => this.#follow());
    this.#jump.addEventListener("click", () => this.#goToFault());
    new ResizeObserver(() => this.#follow()).observe(this.field);
  }

  get text() {
    return this.field.value;
  }

  set text(text) {
    this.#showLarge(text); // before the text is set, which would otherwise be laid out twice
    this.field.value = text;
    this.toTop();
    this.judge();
  }

  // Moves the caret to the start: a browser scrolls to the caret when the field gets the focus.
  toTop() {
    this.field.setSelectionRange(0, 0);
    this.field.scrollTop = 0;
    this.field.scrollLeft = 0;
  }

  // Checks the text, marks a mistake and returns whether it is JSON.
  judge() {
    clearTimeout(this.#timer);
    this.fault = this.findFault(this.text);
    this.field.setAttribute("aria-invalid", Boolean(this.fault));
    // An empty field is no mistake yet.
    const isMarked = this.fault && this.text.length < LARGE_CHARS && this.text.trim();
    this.#marks.replaceChildren(...isMarked ? this.#markedText() : []);
    this.#follow();
    this.onJudged();
    return !this.fault;
  }

  // Shows the fault beside the buttons; if there is none, shows `words`.
  sayVerdict(words) {
    if (this.fault && this.text.trim()) {
      setText(this.#jump, this.fault.message);
      if (this.#jump.parentNode !== this.verdict) this.verdict.replaceChildren(this.#jump);
    } else {
      setText(this.verdict, words);
    }
  }

  #judgeSoon() {
    clearTimeout(this.#timer);
    if (!this.#showLarge(this.text)) this.judge();
    else this.#timer = setTimeout(() => this.judge(), TYPING_MS);
  }

  #showLarge(text) {
    return this.root.classList.toggle("large", text.length >= LARGE_CHARS);
  }

  #markedText() {
    const { at } = this.fault;
    const wrong = this.text.slice(at, at + 1);
    // At the end of a line or of the text there is no character to mark.
    const shown = wrong.trim() ? wrong : " ";
    const rest = wrong.trim() ? this.text.slice(at + 1) : this.text.slice(at);
    return [this.text.slice(0, at), element("mark", {}, shown), rest];
  }

  #follow() {
    this.#marks.scrollTop = this.field.scrollTop;
    this.#marks.style.width = `${this.field.clientWidth}px`; // without the scroll bar
  }

  #goToFault() {
    if (!this.fault) return;
    this.field.focus();
    this.field.setSelectionRange(this.fault.at, this.fault.at + 1);
  }
}

// The field for a whole value: as text, which needs no quotes, or as JSON.

import { element } from "../../lib/dom.js";
import { indent } from "../../lib/json.js";
import { JsonEditor, LARGE_CHARS } from "../../lib/jsoneditor.js";
import { faultOf } from "../../lib/jsonparse.js";
import { AS, kindOf, looksLikeJson } from "../../lib/typed.js";

export class Written {
  onJudged = () => {};
  root;
  #isText = false;
  #isChosen = true; // by the user or by the value; otherwise it follows from what is typed
  #radios = {};
  #json = new JsonEditor("New value", {
    rows: 10, placeholder: 'Text, a number such as 12, or JSON: {"x": 1}',
  });

  constructor() {
    const choice = (name, text) => {
      const radio = element("input", {
        type: "radio", name: "write-as", class: "sr-only",
        onchange: () => this.#choose(name === "text"),
      });
      this.#radios[name] = radio;
      return element("label", {}, radio, element("span", {}, text));
    };
    this.root = element("div", { class: "written" },
      element("div", { class: "segments", role: "radiogroup", "aria-label": "Write as" },
        choice("text", "Text"), choice("json", "JSON")), this.#json.root);
    this.#json.findFault = (text) => this.#faultOf(text);
    this.#json.onJudged = () => this.#say();
  }

  get field() {
    return this.#json.field;
  }

  get verdict() {
    return this.#json.verdict;
  }

  get fault() {
    return this.#json.fault;
  }

  // What is written, and how: it can be given to `restore`.
  get state() {
    return { text: this.#json.text, isText: this.#isText, isChosen: this.#isChosen };
  }

  // The JSON of what is written, or the text itself if it is no JSON.
  get value() {
    return this.#isText ? JSON.stringify(this.#json.text) : this.#json.text;
  }

  // Shows JSON: a string as text, unless `keepsJson` and the user writes JSON. "" is for a new
  // value, which may be either.
  load(json, keepsJson = false) {
    const isString = kindOf(json) === "string" && (this.#isText || !keepsJson);
    const isShort = json.length < LARGE_CHARS;
    const written = isShort ? indent(json) : json;
    this.restore({
      text: isString ? JSON.parse(json) : written, isText: isString, isChosen: json !== "",
    });
  }

  restore({ text, isText, isChosen }) {
    this.#isText = isText;
    this.#isChosen = isChosen;
    this.#json.text = text;
    this.#mark();
  }

  toTop() {
    this.#json.toTop();
  }

  // Returns whether what is written can be stored.
  judge() {
    return this.#json.judge();
  }

  #choose(isText) {
    this.#isChosen = true;
    if (isText !== this.#isText) {
      this.#isText = isText;
      this.#json.text = isText ? asText(this.#json.text) : asJson(this.#json.text);
    } else this.judge();
    this.field.focus({ preventScroll: true });
  }

  #faultOf(text) {
    if (this.#isChosen && this.#isText) return null;
    const fault = faultOf(text);
    if (this.#isChosen) return fault;
    this.#isText = !looksLikeJson(text, fault);
    this.#mark();
    return this.#isText && text ? null : fault; // nothing yet is no text
  }

  #mark() {
    this.#radios.text.checked = this.#isText;
    this.#radios.json.checked = !this.#isText;
  }

  #say() {
    const kind = this.#isText ? "string" : kindOf(this.#json.text);
    this.#json.sayVerdict(this.fault ? "" : `This is ${AS[kind]}.`);
    this.onJudged();
  }
}

// What is written as JSON, as text: a string without its quotes.
function asText(written) {
  return !faultOf(written) && kindOf(written) === "string" ? JSON.parse(written) : written;
}

// What is written as text, as JSON: in quotes, unless somebody wrote an object or a list.
function asJson(written) {
  const isBranch = /^\s*[{[]/.test(written) && !faultOf(written);
  return isBranch ? written : JSON.stringify(written);
}

// Writing a message: templates of every message of both dialects, and an editor that says what is
// wrong before anything is sent.

import { byId, element, onCtrlEnter } from "./dom.js";
import { bytes, fault } from "./json.js";
import { TEMPLATES } from "./messages.js";

const LINE_CHARS_MAX = 72;

export class Composer {
  #send;
  #isOnline = false;
  #text = byId("composer-text");
  #verdict = byId("composer-verdict");
  #button = byId("composer-send");
  #force = byId("composer-force");

  // send(text) gives false if there was no connection.
  constructor(send) {
    this.#send = send;
    byId("composer-templates").append(...TEMPLATES.map((group) => this.#group(group)));
    this.#text.addEventListener("input", () => this.#judge());
    this.#button.addEventListener("click", () => this.#submit());
    this.#force.addEventListener("click", () => this.#send(this.#text.value));
    onCtrlEnter(this.#text, () => this.#submit());
    this.#fill(TEMPLATES[0].messages.ping);
  }

  canSend(isOnline) {
    this.#isOnline = isOnline;
    this.#judge();
  }

  #group({ dialect, messages }) {
    const buttons = Object.entries(messages).map(([name, message]) =>
      element("button", {
        type: "button",
        class: "small",
        onclick: () => {
          this.#fill(message);
          this.#text.focus();
          this.#text.setSelectionRange(0, 0); // or a long one would be scrolled to its end
        },
      }, name));
    const label = `${dialect} messages`;
    return element("div", { role: "group", "aria-label": label, class: "template-group" },
      element("span", { class: "quiet", "aria-hidden": "true" }, dialect),
      element("div", {}, ...buttons));
  }

  #fill(message) {
    const line = JSON.stringify(message, null, 1).replaceAll(/\n */g, " ");
    const isShort = line.length <= LINE_CHARS_MAX;
    this.#text.value = isShort ? line : JSON.stringify(message, null, 2);
    this.#judge();
  }

  #submit() {
    if (this.#judge() && this.#isOnline) this.#send(this.#text.value);
    this.#text.focus();
  }

  // Whether the text is JSON; says so.
  #judge() {
    const wrong = fault(this.#text.value);
    this.#text.setAttribute("aria-invalid", Boolean(wrong));
    this.#verdict.classList.toggle("problem", Boolean(wrong));
    this.#verdict.textContent =
      wrong || (this.#isOnline ? `Valid JSON, ${bytes(this.#text.value)} bytes` : "Not connected");
    this.#button.disabled = Boolean(wrong) || !this.#isOnline;
    // What the server says to a text that is no JSON is worth trying, too.
    this.#force.hidden = !wrong || !this.#isOnline;
    return !wrong;
  }
}

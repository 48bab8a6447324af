// Composing a message: templates of every message of both dialects, an editor that shows mistakes
// before sending, the sent messages, and copying the message for other programs.

import { byId, button, element, onCtrlEnter, say } from "../lib/dom.js";
import { bytes } from "../lib/json.js";
import { JsonEditor } from "../lib/jsoneditor.js";
import { TEMPLATES } from "../net/messages.js";
import { copyMenuButton } from "./copybutton.js";
import { History } from "./history.js";

const LINE_CHARS_MAX = 72;

export class Composer {
  #send;
  #isOnline = false;
  #editor = new JsonEditor("Message", { rows: 7 });
  #button = byId("composer-send");
  #force = byId("composer-force");
  #problem = byId("composer-problem");
  #history = new History((text) => this.#put(text));

  // send(text) returns false without a connection; place() returns what the programs need.
  constructor(send, place) {
    this.#send = send;
    byId("composer-templates").append(...TEMPLATES.map((group) => this.#group(group)));
    byId("composer-editor").append(this.#editor.root);
    byId("composer-actions").append(this.#editor.verdict);
    this.#editor.onJudged = () => this.#judge();
    this.#button.addEventListener("click", () => this.#submit());
    this.#force.addEventListener("click", () => this.#sendNow());
    onCtrlEnter(this.#editor.field, () => this.#submit());
    this.#editor.field.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!by || !event.altKey) return;
      event.preventDefault();
      const text = this.#history.step(by);
      if (text !== undefined) this.#editor.text = text;
    });
    byId("composer-tools").append(
      copyMenuButton(() => this.#copied(), place, (text) => say(this.#problem, text)));
    this.#fill(TEMPLATES[0].messages.ping);
  }

  canSend(isOnline) {
    this.#isOnline = isOnline;
    this.#judge();
  }

  #group({ dialect, messages }) {
    const buttons = Object.entries(messages).map(([name, message]) => button(name, () => {
      this.#fill(message);
      this.#editor.field.focus();
      this.#editor.field.setSelectionRange(0, 0); // otherwise a long text is scrolled to its end
    }));
    return element("div", { role: "group", "aria-label": `${dialect} messages`, class: "template-group" },
      element("span", { class: "quiet", "aria-hidden": "true" }, dialect),
      element("div", {}, ...buttons));
  }

  #fill(message) {
    const line = JSON.stringify(message, null, 1).replaceAll(/\n */g, " ");
    this.#editor.text = line.length <= LINE_CHARS_MAX ? line : JSON.stringify(message, null, 2);
  }

  #put(text) {
    this.#editor.text = text;
    this.#editor.field.focus();
  }

  #submit() {
    if (this.#editor.judge() && this.#isOnline) this.#sendNow();
    this.#editor.field.focus();
  }

  #sendNow() {
    if (this.#send(this.#editor.text)) this.#history.add(this.#editor.text);
  }

  #copied() {
    const { fault, text } = this.#editor;
    say(this.#problem, fault ? "Only a message that is JSON can be copied as a program." : "");
    return fault ? [] : [{ title: "This message", text }];
  }

  #judge() {
    const { fault, text } = this.#editor;
    say(this.#problem, "");
    this.#editor.sayVerdict(this.#isOnline ? `Valid JSON, ${bytes(text)} bytes` : "Not connected");
    this.#button.disabled = Boolean(fault) || !this.#isOnline;
    // The user may also send a text that is no JSON, to see the server's answer.
    this.#force.hidden = !fault || !this.#isOnline;
  }
}

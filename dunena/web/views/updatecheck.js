// Whether there is a newer version. The server finds it out, and only when a person clicks, or has
// ticked that it may once a day while this is shown.

import { button, element, say } from "../lib/dom.js";
import { recall, remember } from "../lib/memory.js";

const DAY_MS = 86_400_000;

export class UpdateCheck {
  #api;
  #version = ""; // of the server
  #known = recall("updates", {}); // isDaily, triedAt (ms), and the last answer
  #answer = element("p", { role: "status", hidden: "" });
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #button = button("Check for a newer version", () => this.#check());

  constructor(api, root) {
    this.#api = api;
    const daily = element("input", { type: "checkbox", onchange: () => {
      this.#keep({ isDaily: daily.checked });
      this.#checkDaily();
    } });
    daily.checked = Boolean(this.#known.isDaily);
    root.append(this.#answer, this.#problem, element("div", { class: "actions" }, this.#button,
      element("label", { class: "inline" }, daily, "Once a day, while this is shown")),
    element("p", { class: "quiet" },
      "The server asks GitHub for the newest version, and says nothing about itself."));
  }

  show(version) {
    if (this.#version !== version) {
      this.#version = version;
      this.#draw();
    }
    this.#checkDaily();
  }

  #checkDaily() {
    const age = Date.now() - (this.#known.triedAt ?? 0);
    if (this.#known.isDaily && (age < 0 || age > DAY_MS)) this.#check();
  }

  async #check() {
    if (this.#button.disabled) return;
    this.#button.disabled = true;
    this.#keep({ triedAt: Date.now() });
    say(this.#problem, "");
    say(this.#answer, "Asking GitHub …");
    try {
      this.#keep(await (await this.#api.post("update-check", "{}")).json());
      this.#draw("This is the newest version.");
    } catch (error) {
      this.#draw();
      say(this.#problem, error.message);
    }
    this.#button.disabled = false;
  }

  // What is known of an earlier version of the server says nothing of this one.
  #draw(otherwise = "") {
    const { version, newest, isNewer, url } = this.#known;
    if (!isNewer || version !== this.#version) return say(this.#answer, otherwise);
    this.#answer.replaceChildren(`Version ${newest} is available. `, element("a",
      { href: url, target: "_blank", rel: "noreferrer" }, "What is new in it"));
    this.#answer.hidden = false;
  }

  #keep(more) {
    remember("updates", this.#known = { ...this.#known, ...more });
  }
}

// Whether there is a newer version of the program. The server asks for it, and only when a person
// clicks, or has ticked that it may do so once a day while this view is shown.

import { button, element, say } from "../lib/dom.js";
import { recall, remember } from "../lib/memory.js";

const DAY_MS = 86_400_000;

export class UpdateCheck {
  #api;
  #version = "";
  // isDaily, triedAt (ms), and the last answer: version (of the server then), newest, isNewer, url.
  #known = recall("updates", {});
  #answer = element("p", { role: "status", hidden: "" });
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #button = button("Check for a newer version", () => this.#check());
  #daily = element("input", { type: "checkbox" });

  constructor(api, root) {
    this.#api = api;
    this.#daily.checked = Boolean(this.#known.isDaily);
    this.#daily.addEventListener("change", () => {
      this.#keep({ isDaily: this.#daily.checked });
      this.#checkDaily();
    });
    root.append(this.#answer, this.#problem, element("div", { class: "actions" }, this.#button,
      element("label", { class: "inline" }, this.#daily, "Once a day by itself, while this is shown")),
    element("p", { class: "quiet" },
      "The server asks GitHub for the number of the newest version, and sends nothing about itself."));
  }

  // Shows what is known; version is that of the server.
  show(version) {
    if (this.#version !== version) {
      this.#version = version;
      this.#draw(false);
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
      this.#draw(true);
    } catch (error) {
      this.#draw(false);
      say(this.#problem, error.message);
    } finally {
      this.#button.disabled = false;
    }
  }

  // What was found out for another version of the server says nothing of this one.
  #draw(isAsked) {
    const { version, newest, isNewer, url } = this.#known;
    const isKnown = version === this.#version;
    say(this.#answer, "");
    if (isKnown && isNewer) {
      this.#answer.replaceChildren(`Version ${newest} is available. `, element("a",
        { href: url, target: "_blank", rel: "noopener noreferrer" }, "What is new in it"));
      this.#answer.hidden = false;
    } else if (isKnown && isAsked) {
      say(this.#answer, newest === version ? "This is the newest version."
        : `The newest release is ${newest}, which is older than this.`);
    }
  }

  #keep(more) {
    this.#known = { ...this.#known, ...more };
    remember("updates", this.#known);
  }
}

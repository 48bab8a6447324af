// What a new store begins with: cards of templates, each with a live preview. It makes pages, and
// shows where they are.

import { copyButton } from "../lib/copy.js";
import { byId, button, element, loadStyle, say } from "../lib/dom.js";
import { Taken } from "../net/api.js";
import { livePreview } from "./livepreview.js";
import { dragLink, signInNote } from "./obslink.js";
import { phoneButton } from "./phonebutton.js";

const FIRST_COPY = 2;
const COPIES_MAX = 50;

export class StartScreen {
  #api;
  #newKey;
  #isAsked = false; // the user wants to see it
  #root = byId("start");
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #cards = element("ul", { class: "cards" });

  // newKey() begins a key.
  constructor(api, newKey) {
    this.#api = api;
    this.#newKey = newKey;
    loadStyle("cards.css");
    this.#root.append(
      element("div", { class: "panel-head" },
        element("h2", { class: "grow" }, "What do you want to show?"),
        button("Show the keys", () => this.hide())),
      element("p", { class: "quiet" },
        "One click makes an overlay for OBS and the panel for it. They are plain pages, yours to change."),
      this.#problem,
      this.#cards,
    );
  }

  async show(isAsked) {
    this.#isAsked ||= isAsked;
    this.#root.hidden = false;
    this.#root.parentElement.classList.add("starting");
    if (this.#cards.childElementCount) return;
    try {
      const { templates, mayMake } = await this.#api.ask("templates");
      this.#cards.replaceChildren(
        ...templates.map((template) => this.#card(template, mayMake)), this.#emptyCard());
    } catch (error) {
      say(this.#problem, error.message);
    }
  }

  // Gives way to the keys that another program has set, unless the user is busy with it.
  leave() {
    if (!this.#isAsked) this.hide();
  }

  hide() {
    this.#isAsked = false;
    this.#root.hidden = true;
    this.#root.parentElement.classList.remove("starting");
    this.#cards.replaceChildren(); // the previews would go on
  }

  #card(template, mayMake) {
    const below = element("div", { class: "card-below" });
    const preview = this.#api.url(`templates/${template.template}/overlay.html`);
    const card = element("li", { class: "panel card" },
      livePreview(preview, template.title),
      element("h3", {}, template.title),
      element("p", { class: "quiet" }, template.text),
      below,
    );
    if (template.isMade) this.#showMade(below, template);
    else {
      below.append(button(`Make ${template.title.toLowerCase()}`,
        () => this.#make(below, template), { class: "primary", disabled: mayMake ? null : "" }));
    }
    return card;
  }

  #emptyCard() {
    return element("li", { class: "panel card card-bare" },
      element("h3", {}, "Empty store"),
      element("p", { class: "quiet" }, "Set keys yourself, here or from your own program."),
      element("div", { class: "card-below" }, button("New key", () => {
        this.hide();
        this.#newKey();
      })));
  }

  // Makes a template's pages: with a number, those of a further copy.
  async #make(below, template, number = 1) {
    // Opened at once: a browser lets a page open another one only when the user has just clicked.
    const panel = window.open("about:blank");
    this.#isAsked = true;
    say(this.#problem, "");
    try {
      const made = await this.#makeCopy(template.template, number);
      this.#showMade(below, made);
      if (panel) panel.location = this.#api.url(made.pages.panel);
    } catch (error) {
      panel?.close();
      say(this.#problem, error.message);
    }
  }

  // Asks for a copy with the first number from this one on that is not taken.
  async #makeCopy(template, number) {
    for (let next = number; ; next += 1) {
      try {
        return await this.#api.makePages(template, next > 1 ? `${template}-${next}` : "");
      } catch (error) {
        if (number === 1 || next >= COPIES_MAX || !(error instanceof Taken)) throw error;
      }
    }
  }

  // Shows what was made: a further copy below the ones before.
  #showMade(below, made) {
    const block = this.#madeBlock(made);
    const another = below.querySelector(".another");
    if (another) another.before(block);
    else {
      below.replaceChildren(block, button("Make another", () => this.#make(below, made, FIRST_COPY),
        { class: "small link another" }));
    }
    below.dataset.made = made.name;
  }

  #madeBlock({ name, title, template, pages }) {
    const address = this.#api.url(pages.overlay);
    const link = (path, text, kind = "") => element("a",
      { class: `button ${kind}`, href: this.#api.url(path), target: "_blank", rel: "opener" }, text);
    return element("div", { class: "card-below" },
      name === template ? null : element("h4", {}, name),
      element("div", { class: "actions" },
        link(pages.panel, "Open the panel", "primary"),
        phoneButton(this.#api, pages.panel, (text) => say(this.#problem, text)),
        pages.audience ? phoneButton(this.#api, pages.audience, (text) => say(this.#problem, text),
          "Page for the audience") : null),
      element("p", { class: "quiet" }, "The overlay for OBS:"),
      element("p", { class: "card-address" }, element("code", {}, address),
        copyButton("the address of the overlay", () => address)),
      element("p", {}, dragLink(address, name === template ? title : name)),
      signInNote(this.#api),
    );
  }
}

// What a new store begins with: cards of templates, each with a live preview. It makes pages, and
// shows where they are.

import { copyButton } from "../lib/copy.js";
import { byId, button, element, say } from "../lib/dom.js";

const OBS_SIZE = "layer-width=1920&layer-height=1080"; // OBS reads it from an address dropped on it

const SCREEN_PX = 1280; // how wide an overlay believes its screen to be: start.css

export class StartScreen {
  #api;
  #root = byId("start");
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #cards = element("ul", { class: "start-cards" });

  constructor(api) {
    this.#api = api;
    document.head.append(
      element("link", { rel: "stylesheet", href: api.url("test/start.css") }));
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

  async show() {
    this.#root.hidden = false;
    if (this.#cards.childElementCount) return;
    try {
      const { templates, mayMake } = await this.#api.ask("templates");
      this.#cards.replaceChildren(
        ...templates.map((template) => this.#card(template, mayMake)), this.#emptyCard());
    } catch (error) {
      say(this.#problem, error.message);
    }
  }

  hide() {
    this.#root.hidden = true;
    this.#cards.replaceChildren(); // the previews would go on
  }

  #card(template, mayMake) {
    const card = element("li", { class: "panel start-card" });
    const preview = element("iframe", {
      src: this.#api.url(`templates/${template.template}/overlay.html`), title: `Preview: ${template.title}`,
      loading: "lazy", tabindex: "-1", "aria-hidden": "true",
    });
    const screen = element("div", { class: "start-preview" }, preview);
    new ResizeObserver(([{ contentRect }]) => {
      preview.style.transform = `scale(${contentRect.width / SCREEN_PX})`;
    }).observe(screen);
    const below = element("div", { class: "start-below" });
    card.append(
      screen,
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
    return element("li", { class: "panel start-card" },
      element("h3", {}, "Empty store"),
      element("p", { class: "quiet" }, "Set keys yourself, here or from your own program."),
      element("div", { class: "start-below" }, button("Begin empty", () => this.hide())));
  }

  async #make(below, template) {
    // Opened at once: a browser lets a page open another one only when the user has just clicked.
    const panel = window.open("about:blank");
    say(this.#problem, "");
    try {
      const made = await this.#api.makePages(template.template);
      this.#showMade(below, made);
      if (panel) panel.location = this.#api.url(made.pages.panel);
    } catch (error) {
      panel?.close();
      say(this.#problem, error.message);
    }
  }

  #showMade(below, { name, title, pages }) {
    const address = this.#api.url(pages.overlay);
    const link = (path, text) =>
      element("a", { href: this.#api.url(path), target: "_blank", rel: "opener" }, text);
    const drag = element("a", { href: `${address}?layer-name=${encodeURIComponent(title)}&${OBS_SIZE}` },
      "Drag this into OBS");
    below.replaceChildren(
      element("p", {}, link(pages.panel, "Open the panel")),
      element("p", {}, drag),
      element("p", { class: "start-address" }, element("code", {}, address),
        copyButton("the address of the overlay", () => address)),
      ...(pages.audience ? [element("p", {}, link(pages.audience, "Page for the audience"))] : []),
    );
    below.dataset.made = name;
  }
}

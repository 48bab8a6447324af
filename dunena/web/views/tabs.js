// The tabs of the page: one view is visible at a time, and the address names it.

import { byId } from "../lib/dom.js";
import { parseHash } from "../lib/hash.js";

export class Tabs {
  onShow = () => {}; // (name)
  hashOf = (name) => `#${name}`;
  shown = "";
  #tabs;

  constructor(list) {
    this.#tabs = [...list.querySelectorAll("[role=tab]")];
    for (const tab of this.#tabs) {
      tab.addEventListener("click", () => this.#go(tab));
      tab.addEventListener("keydown", (event) => this.#press(event, tab));
    }
    window.addEventListener("hashchange", () => this.start());
  }

  // Shows the view in the address, or the first one.
  start() {
    const wanted = parseHash(location.hash).view;
    this.show(this.#tabs.some((tab) => tab.dataset.view === wanted)
      ? wanted : this.#tabs[0].dataset.view);
  }

  show(name) {
    if (name === this.shown) return;
    this.shown = name;
    for (const tab of this.#tabs) {
      const isShown = tab.dataset.view === name;
      tab.setAttribute("aria-selected", isShown);
      tab.tabIndex = isShown ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = !isShown;
    }
    if (parseHash(location.hash).view !== name) {
      history.replaceState(history.state, "", this.hashOf(name));
    }
    this.onShow(name);
  }

  #go(tab) {
    this.show(tab.dataset.view);
    tab.focus();
  }

  #press(event, tab) {
    const last = this.#tabs.length - 1;
    const at = this.#tabs.indexOf(tab);
    const to = {
      ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#go(this.#tabs[to]);
  }
}

// A menu below a button: groups of items side by side, for the mouse and the keyboard.

import { element } from "./dom.js";

const EDGE_PX = 8; // between the menu and the edge of the window
const GAP_PX = 4; // between the menu and its button

export class Menu {
  #source = null; // the button that the menu belongs to
  #menu;

  constructor(label) {
    this.#menu = element("div", { class: "menu", role: "menu", "aria-label": label, hidden: "" });
    this.#menu.addEventListener("keydown", (event) => this.#press(event));
    // Otherwise a browser whose buttons take no focus would close the menu before the click.
    this.#menu.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (!this.#menu.contains(relatedTarget) && relatedTarget !== this.#source) this.close();
    });
    for (const name of ["scroll", "resize"]) {
      window.addEventListener(name, ({ target }) => {
        if (target !== this.#menu) this.close();
      }, true);
    }
  }

  get isOpen() {
    return !this.#menu.hidden;
  }

  // Shows groups [{ title, items: [{ text, note, isOff, isChecked, act }] }] below a button.
  open(source, groups) {
    this.close();
    this.#source = source;
    this.#menu.replaceChildren(...groups.map((group) => this.#drawn(group)));
    this.#menu.hidden = false;
    if (source.nextSibling !== this.#menu) source.after(this.#menu); // where Tab goes on from
    source.setAttribute("aria-expanded", "true");
    Object.assign(this.#menu.style, { left: 0, top: 0 }); // as wide as it wants to be
    const { left, top, bottom } = source.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.#menu;
    const isBelow = bottom + GAP_PX + offsetHeight + EDGE_PX <= innerHeight;
    const x = Math.min(left, innerWidth - offsetWidth - EDGE_PX);
    const y = isBelow ? bottom + GAP_PX : top - offsetHeight - GAP_PX;
    Object.assign(this.#menu.style,
      { left: `${Math.max(EDGE_PX, x)}px`, top: `${Math.max(EDGE_PX, y)}px` });
    this.#columns[0][0].focus({ preventScroll: true });
  }

  close() {
    this.#menu.hidden = true;
    this.#source?.setAttribute("aria-expanded", "false");
  }

  get #columns() {
    return [...this.#menu.children].map((group) => [...group.querySelectorAll("button")]);
  }

  #drawn({ title, items }) {
    return element("div", { role: "group", "aria-label": title },
      element("span", { class: "quiet", "aria-hidden": "true" }, title),
      ...items.map(({ text, note, isOff, isChecked, act }) => element("button", {
        type: "button", tabindex: "-1",
        role: isChecked === undefined ? "menuitem" : "menuitemradio",
        "aria-disabled": isOff ? "true" : null, "aria-checked": isChecked ?? null,
        onclick: () => {
          if (isOff) return;
          this.#leave();
          act();
        },
      }, text, note ? element("span", { class: "quiet" }, note) : null)));
  }

  #leave() {
    this.close();
    this.#source.focus({ preventScroll: true });
  }

  #press(event) {
    const { key } = event;
    if (key === "Tab") {
      this.#leave(); // and the browser goes on from the button
      return;
    }
    const isMove = key === "Escape" ? this.#leave() ?? true : this.#move(key);
    event.stopPropagation(); // Escape would close the panel too
    if (isMove) event.preventDefault();
  }

  // Moves the focus; returns whether the key does that.
  #move(key) {
    const columns = this.#columns;
    const items = columns.flat();
    const at = items.indexOf(document.activeElement);
    const column = columns.findIndex((items) => items.includes(document.activeElement));
    const row = columns[column].indexOf(document.activeElement);
    const named = (start) => items.slice(at + 1).concat(items)
      .find(({ textContent }) => textContent.toLowerCase().startsWith(start.toLowerCase()));
    const to = {
      ArrowDown: items[at + 1] ?? items[0], ArrowUp: items[at - 1] ?? items.at(-1),
      ArrowLeft: columns[column - 1]?.[row], ArrowRight: columns[column + 1]?.[row],
      Home: items[0], End: items.at(-1),
    }[key] ?? (key.length === 1 && key !== " " ? named(key) : undefined);
    to?.focus({ preventScroll: true });
    return Boolean(to);
  }
}

// A menu of programs: what a message does is copied as text for the chosen one.

import { copyFrom } from "../lib/copy.js";
import { element } from "../lib/dom.js";
import { read } from "../lib/request.js";
import { PROGRAMS } from "../lib/snippets.js";

const NO_REQUEST = "No HTTP request does what this message does: it needs a WebSocket.";
const NO_GET_WRITE = "No GET request does what this message does: those change one key.";
const EDGE_PX = 8; // between the menu and the edge of the window
const GAP_PX = 4; // between the menu and its button

// What a button does to a stored number or timer, which is another one when the button is pressed:
// returns the group for it, and that of the value without the programs for buttons.
function withPress(group) {
  const { value, key, ns } = JSON.parse(group.text);
  const isTimer = value?.timer && "running" in value.timer;
  if (!isTimer && typeof value !== "number") return [group];
  const [title, more] = isTimer
    ? ["Start or stop", { action: "timer", key, do: "toggle" }]
    : ["Add one", { action: "incr", key }];
  return [{ title, text: JSON.stringify({ ...more, ns }) }, { ...group, isStale: true }];
}

export class CopyMenu {
  #source;
  #onProblem;
  #place;
  #menu = element("div", { class: "menu", role: "menu", "aria-label": "Copy as", hidden: "" });

  // Adds the menu to `root`, which has its button `source`.
  constructor(root, source, onProblem) {
    this.#source = source;
    this.#onProblem = onProblem;
    root.append(this.#menu);
    this.#menu.addEventListener("keydown", (event) => this.#press(event));
    // Otherwise a browser whose buttons take no focus would close the menu before the click.
    this.#menu.addEventListener("pointerdown", (event) => event.preventDefault());
    root.addEventListener("focusout", ({ relatedTarget }) => {
      if (!root.contains(relatedTarget)) this.close();
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

  open(groups, place) {
    this.#place = place;
    const shown = groups.flatMap((group) => (group.isStored ? withPress(group) : [group]));
    this.#menu.replaceChildren(...shown.map((group) => this.#drawn(group)));
    this.#menu.hidden = false;
    this.#source.setAttribute("aria-expanded", "true");
    Object.assign(this.#menu.style, { left: 0, top: 0 }); // as wide as it wants to be
    const { left, top, bottom } = this.#source.getBoundingClientRect();
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
    this.#source.setAttribute("aria-expanded", "false");
  }

  get #columns() {
    return [...this.#menu.children].map((group) => [...group.querySelectorAll("button")]);
  }

  #drawn({ title, text, isStale }) {
    const { isOp } = read(text);
    const programs = PROGRAMS.filter(({ isGetWrite, isForButtons }) =>
      (isOp || !isGetWrite) && !(isStale && isForButtons));
    return element("div", { role: "group", "aria-label": title },
      element("span", { class: "quiet", "aria-hidden": "true" }, title),
      ...programs.map((program) => {
        const isOff = program.isGetWrite && !this.#place.hasGetWrites;
        const note = isOff ? element("span", { class: "quiet" }, "start with --get-writes") : null;
        return element("button", {
          type: "button", role: "menuitem", tabindex: "-1", "aria-disabled": isOff ? "true" : null,
          onclick: () => isOff || this.#copy(program, text),
        }, program.name, note);
      }));
  }

  #copy({ make, isGetWrite }, text) {
    this.#leave();
    const copied = make(text, this.#place);
    if (copied === null) this.#onProblem(isGetWrite ? NO_GET_WRITE : NO_REQUEST);
    else copyFrom(this.#source, copied);
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
    if (!isMove) return;
    event.preventDefault();
    event.stopPropagation(); // Escape would close the panel too
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

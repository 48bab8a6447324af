// A list of events or messages, the newest last. To stay fast with a fast stream, it adds rows once per
// animation frame, and keeps only the newest.

import { copyButton } from "./copy.js";
import { byId, drawer, element } from "./dom.js";
import { count } from "./format.js";
import { compact, indent } from "./json.js";

const ROWS_MAX = 500;
const KEPT_CHARS_MAX = 20_000; // of each message
const SUMMARY_CHARS_MAX = 300;
const NEAR_END_PX = 24; // a list scrolled nearer to its end than this follows new rows

export class RowLog {
  onDraw = () => {};
  #makeRow;
  #searched;
  #pending = [];
  #records = new WeakMap(); // row -> record
  #isPaused = false;
  #rows;
  #pause;
  #filters;
  #draw = drawer(() => this.#drawNow());

  // Uses the elements PREFIX-rows, -pause, -clear and those named in `filters`. makeRow(record)
  // returns an element; searched(record, values of the filters) returns whether to show it.
  constructor(prefix, filters, makeRow, searched) {
    this.#makeRow = makeRow;
    this.#searched = searched;
    this.#rows = byId(`${prefix}-rows`);
    this.#pause = byId(`${prefix}-pause`);
    this.#filters = filters.map((name) => byId(`${prefix}-${name}`));
    for (const filter of this.#filters) {
      filter.addEventListener("input", () => this.#applyFilter());
    }
    this.#pause.addEventListener("click", () => this.#togglePause());
    byId(`${prefix}-clear`).addEventListener("click", () => this.clear());
  }

  add(record) {
    this.#pending.push(record);
    // While the list is paused or not drawn, only this array grows.
    if (this.#pending.length > ROWS_MAX) this.#pending.shift();
    if (this.#isPaused) this.#pause.textContent = `Resume (${this.#pending.length})`;
    this.#draw();
  }

  // Iterates over [row, record], the oldest first.
  * [Symbol.iterator]() {
    for (const row of this.#rows.children) yield [row, this.#records.get(row)];
  }

  clear() {
    this.#pending = [];
    this.#rows.replaceChildren();
    if (this.#isPaused) this.#pause.textContent = "Resume";
    this.onDraw(true);
  }

  toEnd() {
    this.#rows.scrollTop = this.#rows.scrollHeight;
  }

  // Shows the records that arrived while the list was not visible.
  redraw() {
    this.#draw();
  }

  #drawNow() {
    this.onDraw(false);
    const isSeen = this.#rows.offsetParent !== null; // null while another view is shown
    if (this.#isPaused || !isSeen || !this.#pending.length) return;
    const rows = this.#rows;
    const readsAlong = rows.scrollHeight - rows.scrollTop - rows.clientHeight < NEAR_END_PX;
    const values = this.#values();
    rows.append(...this.#pending.map((record) => {
      const row = this.#makeRow(record);
      row.hidden = !this.#searched(record, values);
      this.#records.set(row, record);
      return row;
    }));
    this.#pending = [];
    while (rows.childElementCount > ROWS_MAX) rows.firstElementChild.remove();
    if (readsAlong) this.toEnd();
  }

  #values() {
    return this.#filters.map((filter) => filter.value.toLowerCase());
  }

  #applyFilter() {
    const values = this.#values();
    for (const [row, record] of this) row.hidden = !this.#searched(record, values);
    this.toEnd();
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.#pause.setAttribute("aria-pressed", this.#isPaused);
    this.#pause.textContent = this.#isPaused ? "Resume" : "Pause";
    this.#draw();
  }
}

// Returns what a record keeps of a message: { text, cut }, the number of characters left out.
export function kept(text) {
  return { text: text.slice(0, KEPT_CHARS_MAX), cut: Math.max(0, text.length - KEPT_CHARS_MAX) };
}

// Makes a row of a kept message with the elements of `head`; the whole is shown when it is opened.
export function openable(head, record) {
  const line = compact(record.text.slice(0, 2 * SUMMARY_CHARS_MAX)).slice(0, SUMMARY_CHARS_MAX);
  const row = element("details", { class: "row" },
    element("summary", {}, ...head, element("code", { class: "text" }, line)));
  row.addEventListener("toggle", () => fill(row, record));
  return row;
}

// Opens or closes such a row.
export function setOpen(row, record, isOpen) {
  row.open = isOpen;
  fill(row, record);
}

// Fills a row when it is opened, as most rows never are.
function fill(row, { text, cut }) {
  if (!row.open || row.childElementCount > 1) return;
  const rest = cut ? `\n… and ${count(cut, "more character")}` : "";
  row.append(element("div", { class: "row-body" },
    element("pre", { tabindex: "0" }, indent(text) + rest), copyButton("message", () => text)));
}

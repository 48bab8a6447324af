// Everything that goes in and out, newest last. A fast stream must not make the page slow: rows are
// added once per animation frame, only the newest are kept, and of a very long message only the
// beginning.

import { byId, clockTime, count, element } from "./dom.js";
import { bytes, compact, indent } from "./json.js";

const ROWS_MAX = 500;
const KEPT_CHARS_MAX = 20_000;
const SUMMARY_CHARS_MAX = 300;
const NEAR_END_PX = 24; // closer than this to the end counts as reading along

const DIRECTIONS = { in: ["←", "received"], out: ["→", "sent"], note: ["·", "note"] };

export class FrameLog {
  #pending = [];
  #records = new WeakMap(); // row -> record
  #isScheduled = false;
  #isPaused = false;
  #isPretty = false;
  #sums = { in: 0, out: 0 };
  #rows = byId("log-rows");
  #filter = byId("log-filter");
  #source = byId("log-source");
  #pause = byId("log-pause");
  #pretty = byId("log-pretty");

  constructor() {
    byId("log-clear").addEventListener("click", () => this.#clear());
    this.#pause.addEventListener("click", () => this.#togglePause());
    this.#pretty.addEventListener("click", () => this.#togglePretty());
    this.#filter.addEventListener("input", () => this.#applyFilter());
    this.#source.addEventListener("change", () => this.#applyFilter());
    this.#count();
  }

  // A message that passed: direction "in" or "out"; source "console", "live" or "http".
  frame(source, direction, text) {
    this.#sums[direction] += 1;
    this.#add({ source, direction, size: bytes(text), text });
  }

  // Something to know between the messages.
  note(source, text) {
    this.#add({ source, direction: "note", size: null, text });
  }

  #add(record) {
    const { text } = record;
    record.time = clockTime();
    record.text = text.slice(0, KEPT_CHARS_MAX);
    record.cut = text.length - record.text.length;
    this.#pending.push(record);
    // While paused, or while the browser draws nothing, this is all that grows.
    if (this.#pending.length > ROWS_MAX) this.#pending.shift();
    if (this.#isPaused) this.#pause.textContent = `Resume (${this.#pending.length})`;
    this.#schedule();
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  #draw() {
    this.#count();
    if (this.#isPaused || !this.#pending.length) return;
    const rows = this.#rows;
    const readsAlong = rows.scrollHeight - rows.scrollTop - rows.clientHeight < NEAR_END_PX;
    rows.append(...this.#pending.map((record) => this.#row(record)));
    this.#pending = [];
    while (rows.childElementCount > ROWS_MAX) rows.firstElementChild.remove();
    if (readsAlong) rows.scrollTop = rows.scrollHeight;
  }

  #row(record) {
    const { source, direction, size, text, time } = record;
    const [arrow, spoken] = DIRECTIONS[direction];
    const head = [
      element("time", {}, time),
      element("span", { class: "arrow", role: "img", "aria-label": spoken }, arrow),
      element("span", { class: "size" }, size === null ? "" : `${size.toLocaleString("en")} B`),
      element("span", { class: "source" }, source === "console" ? "" : source),
    ];
    let row;
    if (direction === "note") {
      row = element("div", {}, ...head, element("span", { class: "text" }, text));
    } else {
      const line = compact(text.slice(0, 2 * SUMMARY_CHARS_MAX)).slice(0, SUMMARY_CHARS_MAX);
      row = element("details", {}, element("summary", {},
        ...head, element("code", { class: "text" }, line)));
      row.addEventListener("toggle", () => this.#fill(row));
    }
    row.className = "row";
    row.dataset.direction = direction;
    row.dataset.source = source;
    this.#records.set(row, record);
    row.hidden = !this.#matches(record);
    if (this.#isPretty) this.#setOpen(row, true);
    return row;
  }

  #setOpen(row, isOpen) {
    row.open = isOpen;
    this.#fill(row);
  }

  // Most rows are never opened: what they hold is made when they are.
  #fill(row) {
    if (!row.open || row.lastElementChild.tagName === "PRE") return;
    const { text, cut } = this.#records.get(row);
    const rest = cut ? `\n… and ${count(cut, "more character")}` : "";
    row.append(element("pre", {}, indent(text) + rest));
  }

  #matches({ source, text }) {
    const wanted = this.#filter.value.toLowerCase();
    return (!this.#source.value || this.#source.value === source)
      && (!wanted || text.toLowerCase().includes(wanted));
  }

  #applyFilter() {
    for (const row of this.#rows.children) row.hidden = !this.#matches(this.#records.get(row));
    this.#rows.scrollTop = this.#rows.scrollHeight;
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.#pause.setAttribute("aria-pressed", this.#isPaused);
    this.#pause.textContent = this.#isPaused ? "Resume" : "Pause";
    this.#schedule();
  }

  #togglePretty() {
    this.#isPretty = !this.#isPretty;
    this.#pretty.setAttribute("aria-pressed", this.#isPretty);
    for (const row of this.#rows.querySelectorAll("details")) {
      this.#setOpen(row, this.#isPretty);
    }
    this.#rows.scrollTop = this.#rows.scrollHeight;
  }

  #clear() {
    this.#pending = [];
    this.#sums = { in: 0, out: 0 };
    this.#rows.replaceChildren();
    if (this.#isPaused) this.#pause.textContent = "Resume";
    this.#count();
  }

  #count() {
    const { in: received, out: sent } = this.#sums;
    byId("log-count").textContent =
      `${received.toLocaleString("en")} in, ${sent.toLocaleString("en")} out`;
  }
}

// A table of any length, as a grid with keyboard navigation. Only the visible rows are drawn, by a
// few elements that are filled again while the table scrolls.

import { drawer, element, flash, setText } from "../lib/dom.js";
import { duration, size, whole } from "../lib/format.js";
import { timerText } from "../lib/timer.js";

const ROW_PX = 34;
const ROW_TALL_PX = 52; // for a narrow screen, where a row has two lines
const BEYOND = 6; // rows drawn above and below the visible ones
const HEIGHT_PX_MAX = 8_000_000; // browsers limit the height of an element somewhat above this
const COUNTDOWN_MS = 500;
const SOON_MS = 10_000;

export class KeyTable {
  onChoose = () => {}; // (entry)
  onLook = () => {}; // (first, last)
  onPick = () => {}; // (index, isRange): its box was clicked
  onPickAll = () => {};
  pickOf = () => false; // (entry): whether its box is checked; null for a part of a folder

  #source;
  #now;
  #scroller;
  #head;
  #body;
  #rows = [];
  #active = 0; // the row that has the keyboard focus
  #chosen = {};
  #changed = new Set(); // keys to highlight when they are drawn
  #draw = drawer(() => this.#drawNow());
  #narrow = matchMedia("(max-width: 640px)");

  // `source` has total and at(index), and for a tree toggle(index) and turn(index, isOpening). It
  // may have paint(row, entry) for what its rows have besides. now() returns the server's time,
  // Unix ms.
  constructor(grid, source, now) {
    this.#source = source;
    this.#now = now;
    this.#scroller = grid.querySelector(".grid-scroll");
    this.#head = grid.querySelector(".grid-head");
    this.#body = grid.querySelector(".grid-body");
    this.#scroller.addEventListener("scroll", this.#draw, { passive: true });
    this.#scroller.addEventListener("keydown", (event) => this.#press(event));
    this.#scroller.addEventListener("focus", this.#draw);
    this.#scroller.addEventListener("blur", this.#draw);
    this.#body.addEventListener("click", (event) => {
      const row = event.target.closest(".grid-row");
      if (!row) return;
      if (event.target.closest(".pick")) this.#pick(Number(row.dataset.index), event.shiftKey);
      else this.#choose(Number(row.dataset.index));
    });
    new ResizeObserver(this.#draw).observe(this.#scroller);
    this.#narrow.addEventListener("change", this.#draw);
    setInterval(() => {
      if (!document.hidden) this.#countDown();
    }, COUNTDOWN_MS);
  }

  redraw() {
    this.#draw();
  }

  // Shows the rows of another source.
  show(source) {
    this.#source = source;
    for (const row of this.#rows.splice(0)) row.root.remove();
    this.#scroller.setAttribute("role", source.turn ? "treegrid" : "grid");
    this.toTop();
  }

  toTop() {
    this.#scroller.scrollTop = 0;
    this.#active = 0;
    this.#draw();
  }

  markChanged(entry) {
    this.#changed.add(entry.key);
  }

  // Marks the row of the key whose details are shown, or of none for null.
  choose(key, ns) {
    this.#chosen = { key, ns };
    this.#draw();
  }

  focus() {
    this.#scroller.focus();
  }

  get #rowHeight() {
    return this.#narrow.matches ? ROW_TALL_PX : ROW_PX;
  }

  // A very long table has more rows than pixels: then the scroll position is scaled to the rows.
  get #geometry() {
    const rowHeight = this.#rowHeight;
    const view = this.#scroller.clientHeight - this.#head.offsetHeight; // the head always shows
    const full = (this.#source.total ?? 0) * rowHeight;
    const height = Math.min(full, HEIGHT_PX_MAX);
    const way = Math.max(1, height - view);
    const ratio = full > HEIGHT_PX_MAX ? (full - view) / way : 1;
    return { rowHeight, view, height, ratio };
  }

  #drawNow() {
    const { rowHeight, view, height, ratio } = this.#geometry;
    const total = this.#source.total ?? 0;
    this.#body.style.height = `${height}px`;
    const top = this.#scroller.scrollTop * ratio;
    const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
    const last = Math.min(total, Math.ceil((top + view) / rowHeight) + BEYOND) - 1;
    this.#active = Math.max(0, Math.min(this.#active, total - 1));
    this.onLook(first, Math.max(first, last));
    const needed = Math.max(0, last - first + 1);
    while (this.#rows.length < needed) this.#rows.push(this.#makeRow());
    while (this.#rows.length > needed) this.#rows.pop().root.remove();
    const hasFocus = document.activeElement === this.#scroller;
    let activeId = null;
    for (let index = first; index <= last; index += 1) {
      // A row keeps its element while it scrolls, so that its highlight goes with it.
      const row = this.#rows[index % needed];
      const offset = index * rowHeight - top + this.#scroller.scrollTop;
      row.root.style.transform = `translateY(${offset}px)`;
      this.#fill(row, index);
      const isActive = index === this.#active;
      row.root.classList.toggle("active", isActive && hasFocus);
      if (isActive) activeId = row.root.id;
    }
    this.#changed.clear();
    if (activeId) this.#scroller.setAttribute("aria-activedescendant", activeId);
    else this.#scroller.removeAttribute("aria-activedescendant");
    this.#scroller.setAttribute("aria-rowcount", total + 1);
  }

  #makeRow() {
    const cell = (name, ...inside) =>
      element("span", { role: "gridcell", class: `cell ${name}` }, ...inside);
    const box = element("input", { type: "checkbox", tabindex: "-1" });
    const label = element("span", { class: "label" });
    const cells = {
      key: cell("key", element("span", { class: "pick" }, box), label),
      value: cell("preview"), size: cell("size"), revision: cell("revision"), expiry: cell("expiry"),
    };
    const root = element("div", { role: "row", class: "grid-row", id: `row-${this.#rows.length}` },
      ...Object.values(cells));
    this.#body.append(root);
    return { root, cells, box, label, entry: null };
  }

  #fill(row, index) {
    const entry = this.#source.at(index);
    const { root, cells, box, label } = row;
    const wasKey = row.entry?.key;
    row.entry = entry;
    root.dataset.index = index;
    root.setAttribute("aria-rowindex", index + 2); // from 1, and the head is the first row
    const isChosen = entry?.key !== undefined && entry.key === this.#chosen.key
      && (entry.ns ?? this.#source.ns) === this.#chosen.ns;
    root.setAttribute("aria-selected", isChosen);
    root.classList.toggle("loading", !entry);
    setText(label, entry?.label ?? entry?.key ?? "");
    const pick = entry ? this.pickOf(entry) : false;
    box.checked = pick;
    box.indeterminate = pick === null;
    box.setAttribute("aria-label", `Select ${label.textContent}`);
    const end = entry?.session ? "\nEphemeral: it goes with its session." : "";
    cells.key.title = `${entry?.key ?? ""}${end}`;
    root.classList.toggle("ephemeral", Boolean(end));
    const isKnown = entry?.size !== undefined;
    setText(cells.size, isKnown ? size(entry.size) : "");
    setText(cells.revision, isKnown ? whole(entry.revision) : "");
    this.#fillMoving(row);
    this.#source.paint?.(row, entry);
    if (entry && this.#changed.has(entry.key)) flash(root);
    else if (wasKey !== entry?.key) root.classList.remove("changed");
  }

  // Fills what changes while time passes.
  #fillMoving({ entry, cells }) {
    const preview = entry?.preview ?? "";
    setText(cells.value, timerText(preview, this.#now()) || preview);
    if (!entry?.expiresAt) {
      setText(cells.expiry, entry?.session ? "with session" : "");
      cells.expiry.classList.remove("soon");
      return;
    }
    const left = entry.expiresAt - this.#now();
    setText(cells.expiry, duration(left));
    cells.expiry.classList.toggle("soon", left < SOON_MS);
  }

  #countDown() {
    for (const row of this.#rows) this.#fillMoving(row);
  }

  #choose(index) {
    this.#active = index;
    const entry = this.#source.at(index);
    if (entry?.folder) this.#source.toggle(index);
    else if (entry) this.onChoose(entry);
    this.#draw();
  }

  #pick(index, isRange) {
    this.#active = index;
    this.focus();
    this.onPick(index, isRange);
    this.#draw();
  }

  #press(event) {
    const { rowHeight, view } = this.#geometry;
    const page = Math.max(1, Math.floor(view / rowHeight) - 1);
    const moves = {
      ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity,
    };
    const isPlain = !(event.ctrlKey || event.metaKey || event.altKey);
    const isTurn = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (event.key === "Enter") this.#choose(this.#active);
    else if (event.key === " ") this.#pick(this.#active, event.shiftKey);
    else if (event.key === "a" && !isPlain) this.onPickAll();
    else if (isPlain && event.key in moves) this.#moveTo(this.#active + moves[event.key]);
    else if (isPlain && isTurn && this.#source.turn) {
      this.#moveTo(this.#source.turn(this.#active, event.key === "ArrowRight"));
    } else return;
    event.preventDefault();
  }

  #moveTo(index) {
    const total = this.#source.total ?? 0;
    this.#active = Math.max(0, Math.min(index, total - 1));
    const { rowHeight, view, ratio } = this.#geometry;
    const top = this.#active * rowHeight;
    const shown = this.#scroller.scrollTop * ratio;
    if (top < shown) this.#scroller.scrollTop = top / ratio;
    else if (top + rowHeight > shown + view) {
      this.#scroller.scrollTop = (top + rowHeight - view) / ratio;
    }
    this.#draw();
  }
}

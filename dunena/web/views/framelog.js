// The log of all messages of the console's connection and all writes of this page.

import { byId, element } from "../lib/dom.js";
import { clockTime, whole } from "../lib/format.js";
import { bytes, compact } from "../lib/json.js";
import { kept, openable, RowLog, setOpen } from "../lib/rowlog.js";

const DIRECTIONS = { in: ["←", "received"], out: ["→", "sent"], note: ["·", "note"] };

export class FrameLog {
  #sums = { in: 0, out: 0 };
  #isPretty = false;
  #pretty = byId("log-pretty");
  #rows = new RowLog("log", ["filter", "source"], (record) => this.#row(record), matches);

  constructor() {
    this.#rows.onDraw = (isCleared) => this.#count(isCleared);
    this.#pretty.addEventListener("click", () => this.#togglePretty());
    byId("log-save").addEventListener("click", () => this.#save());
    this.#count(true);
  }

  // Logs a message: direction "in" or "out"; source "console" or "page".
  frame(source, direction, text) {
    this.#sums[direction] += 1;
    this.#add({ source, direction, size: bytes(text), text });
  }

  // Logs a text about the connection between the messages.
  note(source, text) {
    this.#add({ source, direction: "note", size: null, text });
  }

  redraw() {
    this.#rows.redraw();
  }

  #add(record) {
    this.#rows.add({ ...record, ...kept(record.text), time: clockTime() });
  }

  #row(record) {
    const { source, direction, size, text, time } = record;
    const [arrow, spoken] = DIRECTIONS[direction];
    const head = [
      element("time", {}, time),
      element("span", { class: "arrow", role: "img", "aria-label": spoken }, arrow),
      element("span", { class: "size" }, size === null ? "" : `${whole(size)} B`),
      element("span", { class: "source" }, source === "console" ? "" : source),
    ];
    const isNote = direction === "note";
    const row = isNote
      ? element("div", { class: "row" }, ...head, element("span", { class: "text" }, text))
      : openable(head, record);
    row.dataset.direction = direction;
    row.dataset.source = source;
    if (this.#isPretty && !isNote) setOpen(row, record, true);
    return row;
  }

  #togglePretty() {
    this.#isPretty = !this.#isPretty;
    this.#pretty.setAttribute("aria-pressed", this.#isPretty);
    for (const [row, record] of this.#rows) {
      if (row.tagName === "DETAILS") setOpen(row, record, this.#isPretty);
    }
    this.#rows.toEnd();
  }

  // Saves the sent messages of the list as a file that can be imported.
  #save() {
    const lines = [];
    for (const [, { source, direction, text, cut }] of this.#rows) {
      if (source === "console" && direction === "out" && !cut) lines.push(`${compact(text)}\n`);
    }
    const address = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
    element("a", { href: address, download: "messages.jsonl" }).click();
    URL.revokeObjectURL(address);
  }

  #count(isCleared) {
    if (isCleared) this.#sums = { in: 0, out: 0 };
    const { in: received, out: sent } = this.#sums;
    byId("log-count").textContent = `${whole(received)} in, ${whole(sent)} out`;
  }
}

function matches({ source, text }, [wanted, wantedSource]) {
  return (!wantedSource || wantedSource === source)
    && (!wanted || text.toLowerCase().includes(wanted));
}

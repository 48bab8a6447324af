// The log of all messages of the console's connection and all writes of this page.

import { copyButton } from "../lib/copy.js";
import { byId, element } from "../lib/dom.js";
import { clockTime, count, whole } from "../lib/format.js";
import { bytes, compact, indent } from "../lib/json.js";
import { RowLog } from "../lib/rowlog.js";

const KEPT_CHARS_MAX = 20_000;
const SUMMARY_CHARS_MAX = 300;

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
    const { text } = record;
    record.time = clockTime();
    record.text = text.slice(0, KEPT_CHARS_MAX);
    record.cut = text.length - record.text.length;
    this.#rows.add(record);
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
    let row;
    if (direction === "note") {
      row = element("div", {}, ...head, element("span", { class: "text" }, text));
    } else {
      const line = compact(text.slice(0, 2 * SUMMARY_CHARS_MAX)).slice(0, SUMMARY_CHARS_MAX);
      row = element("details", {}, element("summary", {},
        ...head, element("code", { class: "text" }, line)));
      row.addEventListener("toggle", () => fill(row, record));
    }
    row.className = "row";
    row.dataset.direction = direction;
    row.dataset.source = source;
    if (this.#isPretty) setOpen(row, record, true);
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

function setOpen(row, record, isOpen) {
  if (row.tagName !== "DETAILS") return;
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

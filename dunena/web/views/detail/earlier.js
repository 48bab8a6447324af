// The earlier values of a key: when each was written, what has changed since, and a way back to it.

import { diff } from "../../lib/diff.js";
import { button, element, paced, setText } from "../../lib/dom.js";
import { count, moment, size, whole } from "../../lib/format.js";
import { bytes, compact, indent } from "../../lib/json.js";

const ASK_MS = 1000; // between two requests: the server keeps what stood for so long
const COMPARE_MS = 200; // between two comparisons with a value that changes all the time
const PREVIEW_CHARS_MAX = 100;
const COMPARED_CHARS_MAX = 1_000_000; // of both values: more would stop the page for seconds
const LINE_CHARS_MAX = 1000;
const LINES_MAX = 400;
const CONTEXT = 2; // equal lines that are shown above and below a difference

const NONE = "None yet. When the value is changed, the old one stays here if it stood for a second.";
const SAME = "The same as now.";
const LARGE = "Too large to show what has changed since.";
const OFF = "This server keeps none: it runs with --history 0.";

export class EarlierValues {
  root;
  #operations;
  #source;
  #changes;
  #items = new Map(); // revision -> Item
  #ask = () => {};
  #compare = () => {};
  #note = element("p", { class: "quiet", role: "status" });
  #list = element("div", { class: "rows", hidden: "" });

  constructor(operations, source, changes) {
    this.#operations = operations;
    this.#source = source;
    this.#changes = changes;
    this.root = element("details", { class: "earlier" },
      element("summary", {}, "Earlier values"), this.#note, this.#list);
    this.root.addEventListener("toggle", () => this.update());
  }

  open() {
    this.root.open = true;
    this.root.scrollIntoView({ block: "nearest" });
    this.root.firstChild.focus();
  }

  begin() {
    this.#items.clear();
    this.#list.replaceChildren();
    this.#list.hidden = true;
    this.#note.hidden = false;
    setText(this.#note, "…");
    const { key, ns } = this.#source;
    this.root.hidden = key === null;
    const visit = this.#ask = paced(async () => {
      const [note, values] = await this.#request(key, ns);
      if (visit === this.#ask) this.#show(note, values);
    }, ASK_MS);
    this.#compare = paced(() => {
      for (const item of this.#items.values()) item.compare(this.#source.entry);
    }, COMPARE_MS);
  }

  // Takes that the present value is another one.
  update() {
    if (!this.root.open || this.#source.key === null) return;
    this.#ask();
    this.#compare();
  }

  // Resolves to a note for the user and the values; without values the former ones stay.
  async #request(key, ns) {
    try {
      const values = await this.#operations.history(key, ns);
      return [values.length ? "" : this.#operations.keepsHistory ? NONE : OFF, values];
    } catch (error) {
      return [error.message, null];
    }
  }

  // Keeps the rows of values that were shown before, with the focus and what is open.
  #show(note, values) {
    setText(this.#note, note);
    this.#note.hidden = !note;
    if (!values) return;
    this.#list.hidden = !values.length;
    const revisions = new Set(values.map(({ rev }) => rev));
    for (const [rev, { root }] of this.#items) {
      if (revisions.has(rev)) continue;
      this.#items.delete(rev);
      root.remove();
    }
    for (const value of values.reverse()) {
      if (this.#items.has(value.rev)) continue;
      const item = new Item(value, this.#source, this.#operations, this.#changes);
      this.#items.set(value.rev, item);
      this.#list.prepend(item.root);
    }
  }
}

class Item {
  root;
  #value;
  #compared; // the entry that is compared with
  #words = element("span", { class: "quiet" });
  #back;
  #lines;

  constructor(value, source, operations, changes) {
    this.#value = value;
    const time = moment(new Date(value.timestamp));
    this.#back = button("Put back", () => this.#putBack(source, operations, changes),
      { class: "small push", "aria-label": `Put back the value of ${time}` });
    this.#lines = element("pre", { class: "diff", tabindex: "0", "aria-label": `Changes since ${time}` });
    this.root = element("details", { class: "row" },
      element("summary", {}, element("time", {}, time),
        element("code", { class: "text" }, compact(value.text.slice(0, PREVIEW_CHARS_MAX))),
        element("span", { class: "size" }, size(bytes(value.text)))),
      element("div", { class: "actions" }, this.#words, this.#back), this.#lines);
    this.root.addEventListener("toggle", () => this.compare(source.entry));
  }

  // Shows the difference to the present entry, if this value is open.
  compare(entry) {
    if (!this.root.open || entry === undefined) return;
    const isOther = entry?.text !== this.#compared?.text || !this.#words.textContent;
    this.#compared = entry;
    if (!isOther) return;
    const [before, after] = [this.#value.text, entry?.text ?? ""];
    if (before === after || before.length + after.length > COMPARED_CHARS_MAX) {
      const isSame = before === after;
      setText(this.#words, isSame ? SAME : LARGE);
      this.#back.hidden = isSame;
      this.#lines.hidden = true;
      this.#lines.replaceChildren();
      return;
    }
    const runs = diff(indent(before), indent(after));
    const lines = (kind) => runs.reduce((sum, run) => sum + (run.kind === kind ? run.lines.length : 0), 0);
    const [removed, added] = [lines("removed"), lines("added")];
    const isSame = !removed && !added;
    setText(this.#words, isSame
      ? SAME
      : `${count(removed, "line")} removed, ${whole(added)} added since`);
    this.#back.hidden = this.#lines.hidden = isSame;
    this.#lines.replaceChildren(...isSame ? [] : drawn(runs));
  }

  async #putBack(source, operations, changes) {
    const { key, ns, kept } = source;
    await source.attempt(async () => {
      await operations.revert(key, ns, this.#compared?.revision ?? 0, this.#value.rev);
      changes.add({ key, ns, before: kept, after: this.#value });
    });
    source.refresh();
  }
}

function drawn(runs) {
  const made = [];
  for (const [index, { kind, lines }] of runs.entries()) {
    const name = { removed: "del", added: "ins", same: "span" }[kind];
    const above = index && CONTEXT;
    const below = index < runs.length - 1 ? CONTEXT : 0;
    const left = kind === "same" ? lines.length - above - below : 0;
    // One line takes no more room than the note that it was left out.
    const shown = left > 1
      ? [...lines.slice(0, above), null, ...lines.slice(lines.length - below)]
      : lines;
    for (const line of shown) {
      if (made.length >= LINES_MAX) return [...made, note("… and more")];
      made.push(line === null
        ? note(`… ${count(left, "equal line")}`)
        : element(name, {}, shortened(line)));
    }
  }
  return made;
}

function note(text) {
  return element("span", { class: "left-out" }, text);
}

function shortened(line) {
  const rest = line.length - LINE_CHARS_MAX;
  return rest > 0 ? `${line.slice(0, LINE_CHARS_MAX)} … ${count(rest, "more character")}` : line;
}

// The selected keys, and what is done with all of them: a bar above the table.

import { byId, button, element, say, setText } from "../../lib/dom.js";
import { count, whole } from "../../lib/format.js";
import { deleteKeys, linesOf, readEntries, refusalsOf, storeEntries } from "../../net/transfer.js";
import { openDialog, saveFile } from "./dialog.js";

const PAGE = 1000;
const UNDO_MAX = 2000; // deleted keys whose values are kept, so that they can be put back

export class Selection {
  #api;
  #table;
  #listed;
  #picked = new Map(); // id -> { ns, key }
  #from = 0; // the row from which a range goes on
  #version = 0; // changes with what is selected
  #states = new WeakMap(); // folder -> { version, state }
  #undo = []; // entries that were deleted
  #work = 0; // numbers the work that may run; another number ends it
  #words = element("strong", { role: "status" });
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #all = button("Select all that match", () => this.pickAll());
  #export = button("Export", () => this.#exportPicked());
  #remove = button("Delete", () => this.#askDelete(), { class: "small danger" });
  #putBack = button("Undo", () => this.#undoDelete(), { class: "small primary" });
  #close = button("Clear selection", () => {
    this.clear();
    this.#table.focus();
  });
  #bar = element("div",
    { class: "selection", role: "group", "aria-label": "Selected keys", hidden: "" },
    this.#words, element("div", { class: "actions push" },
      this.#putBack, this.#all, this.#export, this.#remove, this.#close),
    this.#problem);

  // listed() returns what the table shows: { source, kind, ns, pattern, order, q }.
  constructor(api, table, listed) {
    this.#api = api;
    this.#table = table;
    this.#listed = listed;
    byId("keys-grid").before(this.#bar);
    table.pickOf = (entry) => this.#stateOf(entry);
  }

  // Selects a row or no longer, or with `isRange` all rows from the one before.
  async pick(index, isRange) {
    const { source } = this.#listed();
    const entry = source.at(index);
    if (!entry) return;
    const isOn = this.#stateOf(entry) !== true;
    if (!isRange) this.#set(this.#placesOf(entry), isOn);
    else {
      const [first, last] = [this.#from, index].sort((one, other) => one - other);
      await this.#run(async () => {
        const rows = await this.#rowsBetween(first, last);
        this.#set(rows.flatMap((row) => this.#placesOf(row)), true);
      });
    }
    this.#from = index;
    this.#draw();
  }

  // Selects everything that the table would show, also what is not loaded yet.
  async pickAll() {
    const { kind, ns, pattern, q } = this.#listed();
    const [path, fields] = kind === "search" ? ["search", { q }]
      : ["keys", { ns, pattern: pattern || "*" }];
    await this.#run(async (isOver) => {
      let cursor = kind === "search" ? "" : 0;
      do {
        const query = new URLSearchParams({ ...fields, cursor, count: PAGE });
        const answer = await this.#api.ask(`${path}?${query}`);
        if (isOver()) return;
        this.#set(answer.entries ?? answer.keys.map((key) => ({ ns, key })), true);
        this.#draw();
        cursor = answer.cursor;
      } while (cursor);
    });
  }

  clear() {
    this.#work += 1;
    this.#picked.clear();
    this.#undo = [];
    this.#version += 1;
    say(this.#problem, "");
    this.#draw();
  }

  #placesOf(entry) {
    const ns = entry.ns ?? this.#listed().ns;
    if (!entry.folder) return [{ ns, key: entry.key }];
    return [...entry.folder.all()].map((key) => ({ ns, key }));
  }

  #set(places, isOn) {
    for (const { ns, key } of places) {
      if (isOn) this.#picked.set(idOf(ns, key), { ns, key });
      else this.#picked.delete(idOf(ns, key));
    }
    this.#undo = [];
    this.#version += 1;
    say(this.#problem, "");
  }

  // Returns whether a row is selected; null for a folder of which a part is.
  #stateOf(entry) {
    if (!this.#picked.size) return false;
    if (!entry.folder) return this.#picked.has(idOf(entry.ns ?? this.#listed().ns, entry.key));
    const known = this.#states.get(entry.folder);
    if (known?.version === this.#version && known.count === entry.folder.count) return known.state;
    const { ns } = this.#listed();
    let picked = 0;
    for (const key of entry.folder.all()) picked += this.#picked.has(idOf(ns, key));
    let state = picked ? null : false;
    if (picked === entry.folder.count) state = true;
    this.#states.set(entry.folder, { version: this.#version, count: entry.folder.count, state });
    return state;
  }

  // Returns the rows of a range; those of a list that are not loaded are requested.
  async #rowsBetween(first, last) {
    const { source, kind, ns, pattern, order } = this.#listed();
    const rows = [];
    for (let index = first; index <= last; index += 1) {
      const row = source.at(index);
      if (row) rows.push(row);
      else if (kind === "list") {
        const size = Math.min(PAGE, last - index + 1);
        const { entries } = await this.#api.entries(
          { ns, pattern, order, offset: index, count: size });
        if (!entries.length) break;
        rows.push(...entries);
        index += entries.length - 1;
      }
    }
    return rows;
  }

  // --- what is done with the keys ---

  async #exportPicked() {
    await this.#run(async (isOver) => {
      const total = this.#picked.size;
      const entries = await readEntries(this.#api, this.#picked.values(),
        (done) => setText(this.#words, `Reading ${whole(done)} of ${whole(total)} …`));
      if (isOver()) return;
      saveFile(`dunena-${new Date().toISOString().slice(0, 10)}.jsonl`, linesOf(entries));
      const left = total - entries.length;
      if (!left) return;
      say(this.#problem, `Left out ${count(left, "key")}: gone, or going with a session.`);
    });
  }

  #askDelete() {
    const total = count(this.#picked.size, "key");
    const namespaces = new Set([...this.#picked.values()].map(({ ns }) => ns || "no namespace"));
    const where = namespaces.size === 1 ? `of ${[...namespaces][0]}`
      : `of ${namespaces.size} namespaces`;
    const keep = button("Keep", () => dialog.close(), { class: "primary" });
    const dialog = openDialog(`Delete ${total}?`, [
      element("p", {}, `They are ${where}. Export them first if you may want them back later.`),
      element("div", { class: "actions" }, keep,
        button("Export", () => this.#exportPicked(), { class: "" }),
        button(`Delete ${total}`, () => {
          dialog.close();
          this.#delete();
        }, { class: "danger" })),
    ]);
    keep.focus();
  }

  async #delete() {
    const places = [...this.#picked.values()];
    await this.#run(async () => {
      const kept = places.length <= UNDO_MAX ? await readEntries(this.#api, places) : [];
      const { done, refused } = await deleteKeys(this.#api, places,
        (tried) => setText(this.#words, `Deleting ${whole(tried)} of ${whole(places.length)} …`));
      const left = new Set(refused.map(({ ns, key }) => idOf(ns, key)));
      this.#picked.clear();
      this.#set(refused, true);
      this.#undo = kept.filter(({ ns, key }) => !left.has(idOf(ns, key)));
      say(this.#problem, refusalsOf(refused));
      return `Deleted ${count(done, "key")}`;
    });
  }

  async #undoDelete() {
    const entries = this.#undo;
    await this.#run(async () => {
      const { done, refused } = await storeEntries(this.#api, entries, undefined, true);
      this.#undo = [];
      say(this.#problem, refusalsOf(refused));
      return `Put back ${count(done, "key")}`;
    });
  }

  // Runs work(isOver), one at a time, and shows what it returns.
  async #run(work) {
    this.#work += 1;
    const number = this.#work;
    this.#bar.classList.add("busy");
    this.#bar.hidden = false;
    let words;
    try {
      words = await work(() => number !== this.#work);
    } catch (error) {
      say(this.#problem, error.message);
    }
    if (number !== this.#work) return;
    this.#draw(words);
  }

  #draw(words = "") {
    const { size } = this.#picked;
    this.#bar.classList.remove("busy");
    this.#bar.hidden = !size && !words && this.#problem.hidden;
    setText(this.#words, words || (size ? `${count(size, "key")} selected` : ""));
    this.#putBack.hidden = !this.#undo.length;
    for (const part of [this.#all, this.#export, this.#remove]) part.hidden = !size;
    setText(this.#close, size ? "Clear selection" : "Close");
    this.#table.redraw();
  }
}

function idOf(ns, key) {
  return `${ns}\n${key}`;
}

// Editing where one looks: the tree of a value with its fields, switches and menus, the line below
// it that says whether a change is saved, and the way back. Every change is one operation on the
// place, so what others change elsewhere in the value stays.

import { button, element, loadStyle, setText } from "../../lib/dom.js";
import { converted, blankOf, sum } from "../../lib/convert.js";
import { childrenOf, nodeAt, Refusal, textOf } from "../../lib/edits.js";
import { parse } from "../../lib/jsonparse.js";
import { Menu } from "../../lib/menu.js";
import { makeEdit, makeStep } from "../../net/placeedit.js";
import { LeafField } from "./field.js";
import { NameForm } from "./nameform.js";
import { itemsOf } from "./rowmenu.js";
import { takeBack } from "./takeback.js";
import { Tree } from "./tree.js";
import { inWords, shortened } from "./words.js";

const PARTS_BYTES_MAX = 1024 * 1024; // of a value of which the server changes parts
const STEP = 10; // with Shift
const HINT = "Click a value to change it, or ⋯ for more.";
const TOO_LARGE = "A value of more than 1 MB is changed as a whole, with “Edit”.";

export class Editing {
  onHistory = () => {};
  bar;
  #where; // { api, operations, source }
  #changes;
  #tree = new Tree();
  #field = new LeafField(this.#tree);
  #form = new NameForm(this.#tree);
  #menu = new Menu("Change");
  #next = null; // { path, revision } of what was added, to be edited as soon as it is drawn
  #words = element("p", { role: "status" });
  #history = button("See earlier values", () => this.onHistory());
  #undo = button("Undo", () => this.undo(), { title: "Take back the last change (Ctrl+Z)" });

  constructor(where, changes) {
    this.#where = where;
    this.#changes = changes;
    this.bar = element("div", { class: "edit-bar" }, this.#words, this.#history, this.#undo);
    loadStyle("editing.css");
    changes.onAdd = ({ key, ns, words }) =>
      this.#isShown(key, ns) && this.#say(words ?? "Saved.", { isNotice: Boolean(words) });
    this.#tree.onAct = (what, row, control, event) => this.#act(what, row, control, event);
    this.#field.onSave = (edit, seen) => this.#make(edit, seen);
    this.#field.onProblem = () => !this.bar.classList.contains("notice") && this.#say("");
    this.#field.onNext = (row, by) => this.#leafAfter(row, by);
    this.#field.onClose = (row, hadFocus) => this.#closed(row, hadFocus);
    this.#form.onClose = (row, hadFocus) => this.#closed(row, hadFocus);
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  get root() {
    return this.#tree.root;
  }

  // Whether something is typed that is not saved.
  get isEdited() {
    return this.#field.isEdited || this.#form.isEdited;
  }

  begin() {
    this.giveUp();
    this.#next = null;
    this.#tree.clear();
    this.#say("");
  }

  // Saves what is typed; resolves to whether nothing is left that is not saved.
  async finish() {
    return await this.#field.finish() && !this.#form.isEdited;
  }

  giveUp() {
    this.#field.close();
    this.#form.close();
    this.#menu.close();
  }

  // Shows the value's JSON, undefined for no value.
  show(text, isFirst) {
    const isReadOnly = (this.#where.source.entry?.size ?? 0) > PARTS_BYTES_MAX;
    const isAnew = isFirst || isReadOnly !== this.#tree.isReadOnly;
    this.#tree.isReadOnly = isReadOnly;
    if (text === undefined) this.#tree.clear();
    else this.#tree.show(text, isAnew);
    this.#field.compare();
    if (isFirst) this.#say("");
    this.#goToNext();
  }

  // Takes back the last change of the key that is shown.
  async undo() {
    if (!await this.finish()) return;
    const { key, ns } = this.#where.source;
    const change = this.#changes.last(key, ns);
    if (!change) return;
    const error = await this.#attempt(async () => {
      await takeBack(this.#where, change);
      this.#changes.drop(change);
      this.#say("Undone.");
    });
    if (!(error instanceof Refusal)) return;
    this.#say("Somebody else has changed this meanwhile, so nothing was undone.",
      { isNotice: true, hasHistory: true });
  }

  // --- what the user presses ---

  #press(event) {
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z";
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (!isUndo || isTyping || !this.bar.offsetParent) return;
    event.preventDefault();
    this.undo();
  }

  async #act(what, row, control, { shiftKey }) {
    if (what !== "step" && !await this.finish()) return;
    row = this.#tree.rowAt(row.path) ?? row; // it may have been drawn anew
    switch (what) {
      case "edit": this.#edit(row); break;
      case "switch": this.#replace(row, String(row.node.text !== "true")); break;
      case "step": this.#step(row, control.dataset.by * (shiftKey ? STEP : 1)); break;
      case "add": this.#insert(row.path, row.node, 0, row); break;
      case "remove": if (row.name !== null) this.#remove(row); break;
      default: this.#openMenu(row, control);
    }
  }

  #openMenu(row, control) {
    if (this.#menu.isOpen && control.getAttribute("aria-expanded") === "true") {
      this.#menu.close();
      return;
    }
    const parentPath = row.path.slice(0, -1);
    const parent = row.name === null ? undefined : nodeAt(this.#tree.node, parentPath);
    const at = parent && childrenOf(parent).findIndex(([name]) => name === row.name);
    this.#menu.open(control, itemsOf(row, parent, {
      convert: (kind) => this.#replace(row, converted(row.node, kind)),
      rename: () => this.#rename(row, parentPath),
      insertAfter: () => this.#insert(parentPath, parent, at + 1, row),
      insertInside: () => this.#insert(row.path, row.node, childrenOf(row.node).length, row),
      remove: () => this.#remove(row),
    }));
  }

  #edit(row) {
    const problem = this.#field.open(row);
    if (problem) this.#say(problem, { isNotice: true });
  }

  async #step(row, by) {
    const { path } = row;
    await this.#attempt(async (key, ns) => {
      const { number, ...after } = await makeStep(this.#where, path, by, this.#tree.node);
      const edit = { kind: "replace", path, before: sum(number, -by), after: number };
      this.#changes.add({ key, ns, edit, after });
    });
  }

  #replace(row, after) {
    const before = textOf(row.node);
    return before === after ? null : this.#make({ kind: "replace", path: row.path, before, after });
  }

  #rename(row, path) {
    const from = row.name;
    this.#form.open(row, "New name", from, async (to) => {
      const error = to === from ? null : await this.#make({ kind: "rename", path, from, to });
      return error && inWords(error, to);
    });
  }

  // Adds a member or an item to the object or list at a path; `row` is where its name is asked for.
  #insert(path, parent, at, row) {
    const insert = async (name, text) => {
      const error = await this.#make({ kind: "insert", path, at, name, text });
      if (error) return inWords(error, name);
      this.#form.close();
      this.#tree.open(path);
      const { revision } = this.#changes.last(this.#where.source.key, this.#where.source.ns).after;
      this.#next = { path: [...path, name ?? at], revision };
      this.#goToNext();
      return "";
    };
    if (parent.kind === "array") {
      const like = parent.items[Math.max(0, at - 1)];
      insert(null, like ? blankOf(like) : "null");
    } else this.#form.open(row, "Name of the new field", "", (name) => insert(name, "null"));
  }

  async #remove(row) {
    const path = row.path.slice(0, -1);
    const parent = nodeAt(this.#tree.node, path);
    const at = childrenOf(parent).findIndex(([name]) => name === row.name);
    const name = parent.kind === "object" ? row.name : null;
    const text = textOf(row.node);
    const what = name === null ? `item ${at}: ${shortened(text)}` : `“${name}”`;
    const error = await this.#make({ kind: "remove", path, at, name, text }, this.#tree.node,
      `Deleted ${what}.`);
    if (!error) this.#undo.focus({ preventScroll: true });
  }

  // --- changes ---

  // Makes an edit; `seen` is the node of the value that the user has seen, `words` say what was
  // done. Resolves to the error that it met, null if it is made.
  #make(edit, seen = this.#tree.node, words = undefined) {
    return this.#attempt(async (key, ns) => {
      const after = await makeEdit(this.#where, edit, seen);
      this.#changes.add({ key, ns, edit, after, words });
      const isShown = edit.kind === "replace" && this.#isShown(key, ns);
      if (isShown) this.#tree.preview(edit.path, edit.after);
    }, edit.to ?? edit.name);
  }

  // Calls act(key, ns) and says how it went; `name` is the one that a member is to get. Resolves to
  // the error, null if there is none.
  async #attempt(act, name) {
    const { source } = this.#where;
    const { key, ns } = source;
    this.#say("Saving …");
    try {
      await act(key, ns);
      return null;
    } catch (error) {
      if (this.#isShown(key, ns)) this.#say(inWords(error, name), { isNotice: true });
      return error;
    } finally {
      source.refresh();
    }
  }

  #isShown(key, ns) {
    return this.#where.source.key === key && this.#where.source.ns === ns;
  }

  // --- where the user is ---

  // Returns the function that goes to the leaf after a row, or before it; null if there is none.
  #leafAfter(row, by) {
    const leaves = [...this.root.querySelectorAll(".leaf")]
      .filter((leaf) => leaf === row.main || leaf.offsetParent);
    const next = leaves[leaves.indexOf(row.main) + by];
    if (!next) return null;
    const { path } = this.#tree.rowOf(next);
    return () => {
      const found = this.#tree.rowAt(path);
      if (found) this.#goTo(found);
    };
  }

  #goTo(row) {
    row.root.scrollIntoView({ block: "nearest" });
    if (row.main.dataset.act === "edit") this.#edit(row);
    else row.focus();
  }

  // Goes to what was added, as soon as it is drawn.
  #goToNext() {
    if (!this.#next || !(this.#where.source.entry?.revision >= this.#next.revision)) return;
    this.#tree.open(this.#next.path);
    const leaf = this.#tree.rowAt(this.#next.path)?.root.querySelector(".leaf");
    this.#next = null;
    if (leaf) this.#goTo(this.#tree.rowOf(leaf));
  }

  // Takes that a field or a form in a row was closed, which had the focus or not.
  #closed(row, hadFocus) {
    const node = this.#tree.node && nodeAt(this.#tree.node, row.path);
    const { entry } = this.#where.source;
    if (entry && !(node && row.fits(node))) this.#tree.show(entry.text, false);
    else if (!entry) this.#tree.clear();
    if (hadFocus) this.#tree.rowAt(row.path)?.focus();
  }

  #say(words, { isNotice = false, hasHistory = false } = {}) {
    const { key, ns } = this.#where.source;
    setText(this.#words, words || (this.#tree.isReadOnly ? TOO_LARGE : HINT));
    this.#words.className = words || this.#tree.isReadOnly ? "" : "hint";
    this.bar.classList.toggle("notice", isNotice);
    this.#history.hidden = !hasHistory;
    const hadFocus = document.activeElement === this.#undo;
    this.#undo.hidden = !this.#changes.last(key, ns);
    if (hadFocus && this.#undo.hidden) this.root.querySelector(".leaf, summary")?.focus();
  }
}

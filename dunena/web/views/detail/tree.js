// A value as a collapsible tree of rows. Branches are filled when they are opened, in parts, so
// that only the visible part of a large value is drawn. When the value changes, rows are updated in
// their place: open branches, the focus and a field that somebody types into stay.

import { button, element } from "../../lib/dom.js";
import { childrenOf, nodeAt } from "../../lib/edits.js";
import { count } from "../../lib/format.js";
import { parse } from "../../lib/jsonparse.js";
import { drawLeaf } from "./leaf.js";

const PART = 200;
const OPEN_DEPTH = 2; // levels that are open at first

export class Tree {
  root = element("div", { class: "tree", role: "group", "aria-label": "Value as a tree" });
  onAct = () => {}; // (what, row, control, event): a control was pressed; `what` is its data-act
  node = null; // of the shown value
  isReadOnly = false;
  pinned = null; // an element, such as a field: the row that has it is kept whatever happens
  #top = null;
  #toggled = new Map(); // path -> whether the user opened or closed it
  #rows = new WeakMap(); // element -> Row

  constructor() {
    this.root.addEventListener("click", (event) => {
      const control = event.target.closest("[data-act]");
      if (control) this.onAct(control.dataset.act, this.rowOf(control), control, event);
    });
    this.root.addEventListener("keydown", (event) => this.#press(event));
  }

  // Draws JSON text; `isNew`: it is another key's value, so nothing is highlighted.
  show(text, isNew) {
    if (isNew) this.#toggled.clear();
    if (isNew) this.clear();
    this.node = parse(text);
    this.#top = this.fit(this.#top, null, this.node, [], isNew);
    if (this.#top.root.parentNode !== this.root) this.root.replaceChildren(this.#top.root);
  }

  // Shows nothing, but for a row that is pinned.
  clear() {
    this.node = null;
    if (this.#top?.isPinned) return;
    this.#top = null;
    this.root.replaceChildren();
  }

  // Shows the JSON of a leaf that was saved before the value comes anew.
  preview(path, json) {
    const row = this.rowAt(path);
    const node = parse(json);
    if (!row?.fits(node)) return;
    const parent = path.length ? nodeAt(this.node, path.slice(0, -1)) : null;
    if (!parent) this.node = node;
    else if (parent.kind === "array") parent.items[path.at(-1)] = node;
    else parent.members.find(({ name }) => name === row.name).node = node;
    row.update(node, false);
  }

  // Returns the drawn row at a path; undefined if there is none.
  rowAt(path) {
    return path.reduce((row, step) => row?.children.get(step), this.#top ?? undefined);
  }

  rowOf(part) {
    return this.#rows.get(part.closest(".tree-row"));
  }

  // Opens the branch at a path, and those around it.
  open(path) {
    for (let depth = 0; depth <= path.length; depth += 1) {
      this.rowAt(path.slice(0, depth))?.open();
    }
  }

  // Returns the row for a node: the old one if it can show it, else a new one in its place.
  fit(old, name, node, path, isNew) {
    if (old?.fits(node)) {
      old.update(node, isNew);
      return old;
    }
    if (old?.isPinned) return old;
    const row = new Row(this, name, node, path);
    this.#rows.set(row.root, row);
    const hadFocus = old?.root.contains(document.activeElement);
    old?.root.replaceWith(row.root);
    if (hadFocus) row.focus();
    return row;
  }

  isOpen(path) {
    return this.#toggled.get(JSON.stringify(path)) ?? path.length < OPEN_DEPTH;
  }

  noteOpen(path, isOpen) {
    this.#toggled.set(JSON.stringify(path), isOpen);
  }

  // Moves the focus with the arrow keys: up and down between rows, to the sides within one.
  #press(event) {
    const { target, key, altKey, ctrlKey, metaKey } = event;
    const row = target.closest(".tree-row") && this.rowOf(target);
    if (!row || altKey || ctrlKey || metaKey || !target.matches("button, summary")) return;
    if (target.closest(".menu, .tree-form")) return;
    const rows = [...this.root.querySelectorAll(".leaf, summary, .more-rows")]
      .filter((one) => one.offsetParent);
    const at = rows.indexOf(row.main);
    const controls = row.controls;
    const side = controls.indexOf(target);
    const moves = {
      ArrowDown: () => rows[at + 1], ArrowUp: () => rows[at - 1],
      Home: () => rows[0], End: () => rows.at(-1),
      ArrowRight: () => row.open() || controls[side + 1],
      ArrowLeft: () => controls[side - 1] ?? row.close(),
    };
    if (moves[key]) moves[key]()?.focus?.();
    else if (key === "Delete" && target === row.main) this.onAct("remove", row, target, event);
    else return;
    event.preventDefault();
  }
}

class Row {
  root = element("div", { class: "tree-row" });
  children = new Map(); // name or index -> Row, of those that are drawn
  node;
  name; // a member's name or a list's index; null for the whole value
  path;
  main; // the control that Tab reaches
  #tree;
  #details = null;
  #inside = null;
  #words = null;
  #more = null; // the button that shows the next part
  #shown = PART;
  #leaf = null;

  constructor(tree, name, node, path) {
    Object.assign(this, { name, node, path });
    this.#tree = tree;
    const more = tree.isReadOnly ? null : button("⋯", null, {
      class: "more", tabindex: "-1", "data-act": "menu", "aria-haspopup": "menu",
      "aria-label": `Change ${this.label}`, title: "Type, rename, add, remove",
    });
    if (isBranch(node)) this.#buildBranch(more);
    else this.#buildLeaf(more);
  }

  // What people call the place.
  get label() {
    return this.name === null ? "the value" : String(this.name);
  }

  get isPinned() {
    return this.#tree.pinned !== null && this.root.contains(this.#tree.pinned);
  }

  // The controls of this row alone, the main one first.
  get controls() {
    const line = this.root.querySelector(":scope > .line");
    const own = [...line.querySelectorAll("button")].filter((control) => !control.closest(".menu"));
    return [this.main, ...own.filter((control) => control !== this.main)];
  }

  fits(node) {
    return shapeOf(node) === shapeOf(this.node);
  }

  update(node, isNew) {
    const isOther = !isBranch(node) && node.text !== this.node.text;
    this.node = node;
    if (this.#details) this.#drawBranch(isNew);
    else if (isOther) this.#leaf(node, !isNew);
  }

  focus() {
    this.main.focus({ preventScroll: true });
  }

  // Opens a branch; returns whether it was closed.
  open() {
    if (!this.#details || this.#details.open) return null;
    this.#details.open = true;
    this.#drawBranch(true);
    return this.main;
  }

  close() {
    if (this.#details) this.#details.open = false;
  }

  #buildLeaf(more) {
    const place = element("span", { class: "place" });
    const isReadOnly = this.#tree.isReadOnly;
    const { main, draw } = drawLeaf(place, this.node, this.name ?? "Value", isReadOnly);
    this.main = main;
    this.#leaf = draw;
    this.root.append(element("div", { class: "line tree-line" },
      element("span", { class: "text" }, ...named(this.name), place), more));
  }

  #buildBranch(more) {
    this.#words = element("span", { class: "quiet-text" });
    this.#inside = element("div", { class: "tree-inside" });
    this.main = element("summary", { class: "tree-line" }, ...named(this.name), this.#words);
    this.#details = element("details", {}, this.main, this.#inside);
    // Beside the line and not in it: a control within a control is hard to use without a mouse.
    this.root.append(element("div", { class: "line" }, more), this.#details);
    this.#details.open = this.#tree.isOpen(this.path);
    this.#drawBranch(true);
    this.#details.addEventListener("toggle", () => {
      this.#tree.noteOpen(this.path, this.#details.open);
      this.#drawBranch(true);
    });
  }

  // Draws the first children of an open branch, and none of a closed one.
  #drawBranch(isNew) {
    const all = childrenOf(this.node);
    this.#words.textContent = this.node.kind === "object"
      ? `{ ${count(all.length, "field")} }`
      : `[ ${count(all.length, "item")} ]`;
    if (!this.#details.open && !this.isPinned) {
      this.children.clear();
      this.#inside.replaceChildren();
      return;
    }
    const part = all.slice(0, this.#shown);
    this.#removeOthers(new Set(part.map(([name]) => name)));
    let at = this.#inside.firstElementChild;
    for (const [name, node] of part) {
      const old = this.children.get(name);
      // A replaced row stands where the old one stood.
      const isNext = old?.root === at && at !== null;
      const row = this.#tree.fit(old, name, node, [...this.path, name], isNew);
      this.children.set(name, row);
      if (isNext) at = row.root;
      if (row.root === at) at = at.nextElementSibling;
      else this.#inside.insertBefore(row.root, at);
    }
    this.#drawMore(all.length - part.length);
  }

  #removeOthers(wanted) {
    for (const [name, row] of this.children) {
      if (wanted.has(name) || row.isPinned) continue;
      row.root.remove();
      this.children.delete(name);
    }
  }

  #drawMore(rest) {
    this.#more?.remove();
    this.#more = null;
    if (rest <= 0) return;
    this.#more = button(`${count(rest, "more", "more")} …`, () => {
      this.#shown += PART;
      this.#drawBranch(true);
    }, { class: "small more-rows" });
    this.#inside.append(this.#more);
  }
}

function isBranch(node) {
  return childrenOf(node).length > 0;
}

// Two nodes of one shape are drawn with the same elements.
function shapeOf(node) {
  const kind = node.kind === "word" && node.text === "null" ? "null" : node.kind;
  return isBranch(node) ? `${kind} with parts` : kind;
}

function named(name) {
  return name === null ? [] : [element("span", { class: "name" }, String(name)), ": "];
}

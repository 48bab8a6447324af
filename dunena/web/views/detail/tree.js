// A value as a collapsible tree. Branches are filled when they are opened, in parts, so that only
// the visible part of a large value is drawn. When the value changes, open branches stay open and
// changed leaves are highlighted.

import { button, element, flash } from "../../lib/dom.js";
import { count } from "../../lib/format.js";
import { parse } from "../../lib/jsonparse.js";

const PART = 200;
const OPEN_DEPTH = 2; // levels that are open at first
const STRING_CHARS_MAX = 2000;

export class Tree {
  root = element("div", { class: "tree" });
  #toggled = new Map(); // path -> whether the user opened or closed it
  #leaves = new Map(); // path -> text, of the drawn leaves
  // Draws JSON text; `isNew`: it is another key's value, so nothing is highlighted.
  show(text, isNew) {
    if (isNew) this.#toggled.clear();
    const before = isNew ? new Map() : this.#leaves;
    this.#leaves = new Map();
    const drawn = this.#node(null, parse(text), "$", 0, before);
    this.root.replaceChildren(drawn);
  }

  #node(name, node, path, depth, before) {
    if (node.kind === "object" || node.kind === "array") {
      return this.#branch(name, node, path, depth, before);
    }
    const shown = node.text.length > STRING_CHARS_MAX
      ? `${node.text.slice(0, STRING_CHARS_MAX)} … ${count(node.text.length - STRING_CHARS_MAX, "more character")}`
      : node.text;
    const value = element("span", { class: `leaf ${node.kind}` }, shown);
    this.#leaves.set(path, node.text);
    const old = before.get(path);
    if (old !== undefined && old !== node.text) requestAnimationFrame(() => flash(value));
    return element("div", { class: "tree-line" }, ...label(name), value);
  }

  #branch(name, node, path, depth, before) {
    const isObject = node.kind === "object";
    const children = isObject
      ? node.members.map((member) => [member.name, member.node])
      : node.items.map((item, index) => [index, item]);
    const [open, close] = isObject ? "{}" : "[]";
    if (!children.length) {
      return element("div", { class: "tree-line" }, ...label(name),
        element("span", { class: "leaf quiet-text" }, open + close));
    }
    const words = isObject ? count(children.length, "field") : count(children.length, "item");
    const inside = element("div", { class: "tree-inside" });
    const details = element("details", {},
      element("summary", { class: "tree-line" }, ...label(name),
        element("span", { class: "quiet-text" }, `${open} ${words} ${close}`)), inside);
    const fill = () => {
      if (!inside.childElementCount) this.#fill(inside, children, path, depth + 1, before, 0);
    };
    details.open = this.#toggled.get(path) ?? depth < OPEN_DEPTH;
    if (details.open) fill();
    details.addEventListener("toggle", () => {
      this.#toggled.set(path, details.open);
      if (details.open) fill();
    });
    return details;
  }

  #fill(inside, children, path, depth, before, from) {
    const part = children.slice(from, from + PART);
    inside.append(...part.map(([name, node]) =>
      this.#node(name, node, `${path}/${JSON.stringify(name)}`, depth, before)));
    const rest = children.length - from - part.length;
    if (rest <= 0) return;
    const more = button(`${count(rest, "more")} …`.replace("mores", "more"), () => {
      more.remove();
      this.#fill(inside, children, path, depth, before, from + PART);
    });
    inside.append(more);
  }
}

function label(name) {
  return name === null ? [] : [element("span", { class: "name" }, String(name)), ": "];
}

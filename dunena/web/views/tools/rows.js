// What the rows of a tree and of a search have besides those of a list.

import { element, setText } from "../../lib/dom.js";

const DEPTH_MAX = 12; // of the indentation: more would leave no room for a name

// Shows how deep a row of a tree is, and whether it is an open folder.
export function paintBranch({ root, cells }, entry) {
  const { folder, depth = 0, isOpen } = entry ?? {};
  root.setAttribute("aria-level", depth + 1);
  if (folder) root.setAttribute("aria-expanded", isOpen);
  else root.removeAttribute("aria-expanded");
  root.classList.add("branch");
  root.classList.toggle("folder", Boolean(folder));
  root.style.setProperty("--depth", Math.min(depth, DEPTH_MAX));
  if (folder) cells.key.title = folder.path;
}

// Shows the namespace of a row that was found, and marks the text `q` in it.
export function paintFound(row, entry, q) {
  const { cells, label } = row;
  if (!row.place) {
    row.place = element("span", { class: "ns" });
    label.before(row.place);
  }
  setText(row.place, entry?.ns ?? "");
  row.place.hidden = !entry?.ns;
  mark(label, entry?.match === "key" ? q : "");
  mark(cells.value, entry?.match === "value" ? q : "");
}

// Marks the first place of a text in an element, in upper or lower case.
function mark(target, q) {
  const text = target.textContent;
  const inside = [q, JSON.stringify(q).slice(1, -1)]
    .map((wanted) => [text.toLowerCase().indexOf(wanted.toLowerCase()), wanted.length])
    .find(([at]) => q && at >= 0);
  if (!inside) {
    if (target.firstElementChild) target.replaceChildren(text);
    return;
  }
  const [at, length] = inside;
  target.replaceChildren(text.slice(0, at),
    element("mark", {}, text.slice(at, at + length)), text.slice(at + length));
}

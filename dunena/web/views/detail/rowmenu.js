// The menu of a row of the tree: another type, another name, more members or items, none of it.

import { kindOf } from "../../lib/typed.js";
import { textOf } from "../../lib/edits.js";

const KIND_WORDS = {
  string: "Text", number: "Number", boolean: "True/false", null: "Null", object: "Object",
  array: "List",
};

// Returns the groups of the menu (lib/menu.js) of a row in `parent`, a node or undefined. `act` has
// the functions that the items call: convert(kind), rename, insertAfter, insertInside and remove.
export function itemsOf(row, parent, act) {
  const kind = kindOf(textOf(row.node));
  const isInObject = parent?.kind === "object";
  const inside = { object: "Add a field inside", array: "Add an item inside" }[kind];
  const title = typeof row.name === "number" ? `Item ${row.name}` : row.name ?? "Value";
  const after = isInObject ? "Add a field after" : "Add an item after";
  const items = [
    inside && { text: inside, act: act.insertInside },
    parent && { text: after, act: act.insertAfter },
    isInObject && { text: "Rename", act: act.rename },
    parent && { text: "Delete", act: act.remove },
  ].filter(Boolean);
  return [
    { title: "Type", items: Object.keys(KIND_WORDS).map((name) => ({
      text: KIND_WORDS[name], isChecked: name === kind, act: () => act.convert(name),
    })) },
    ...items.length ? [{ title, items }] : [],
  ];
}

// How a value without parts is drawn: text and numbers as buttons that open a field, with − and +
// beside a number; true and false as a switch.

import { button, element, flash, setText } from "../../lib/dom.js";
import { count } from "../../lib/format.js";

export const TEXT_CHARS_MAX = 2000; // of a text that is shown

// Draws a node into an element. Returns its main control, and a function draw(node, isFlashing)
// that shows another node of the same kind.
export function drawLeaf(place, node, name, isReadOnly) {
  const kind = node.kind;
  const isSwitch = kind === "word" && node.text !== "null";
  const isEmpty = kind === "object" || kind === "array";
  const [act, look] = isSwitch
    ? ["switch", "word switch"]
    : isEmpty ? ["add", "quiet-text"] : ["edit", kind];
  const value = isReadOnly
    ? element("span", { class: `leaf ${look}` })
    : element("button", {
      type: "button", class: `leaf ${look}`, "data-act": act, role: isSwitch ? "switch" : null,
    });
  const step = (by, mark, words) => button(mark, null, {
    class: "step", tabindex: "-1", "data-act": "step", "data-by": by,
    "aria-label": `${name} ${words} 1`, title: "Hold Shift for 10",
  });
  const hasSteps = kind === "number" && !isReadOnly;
  place.append(...hasSteps
    ? [step(-1, "−", "minus"), value, step(1, "+", "plus")]
    : [value]);
  const draw = (shown, isFlashing) => {
    const text = shownText(shown);
    setText(value, text);
    if (!isReadOnly) value.setAttribute("aria-label", isSwitch ? String(name) : `${name}: ${text}`);
    if (isSwitch && !isReadOnly) value.setAttribute("aria-checked", shown.text);
    // In the next frame the row is on the page.
    if (isFlashing) requestAnimationFrame(() => flash(value));
  };
  draw(node, false);
  return { main: value, draw };
}

function shownText(node) {
  if (node.kind === "object") return "{}";
  if (node.kind === "array") return "[]";
  if (node.kind !== "string") return node.text;
  const text = JSON.parse(node.text);
  const rest = text.length - TEXT_CHARS_MAX;
  return rest > 0 ? `${text.slice(0, TEXT_CHARS_MAX)} … ${count(rest, "more character")}` : text;
}

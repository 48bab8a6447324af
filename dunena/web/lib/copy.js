// Copying to the clipboard. Browsers offer their clipboard only to pages with TLS or from this
// machine; for other pages this module uses document.execCommand.

import { button } from "./dom.js";

const SAID_MS = 1600;

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr-only";
  // While a modal dialog is open, only text inside it can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isDone;
}

// Copies a text and shows the result on the button `source`.
export async function copyFrom(source, text) {
  sayOn(source, await copy(text) ? "Copied" : "Not allowed");
}

// Shows words in place of a button's label for a moment.
export function sayOn(source, words) {
  const label = source.dataset.label ?? source.textContent;
  source.dataset.label = label;
  source.textContent = words;
  clearTimeout(Number(source.dataset.timer));
  source.dataset.timer = setTimeout(() => {
    source.textContent = label;
  }, SAID_MS);
}

// Makes a button that copies what text() returns; `spoken` is its name for screen readers.
export function copyButton(spoken, text, shown = "Copy") {
  const made = button(shown, () => copyFrom(made, text()), { "aria-label": `Copy ${spoken}` });
  return made;
}

// Copying to the clipboard. Browsers keep their clipboard from pages without TLS that are not on
// this machine; there an old way still works.

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
  // In a modal dialog nothing outside of it can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isDone;
}

// Says on a button, for a moment, whether its text was copied.
export async function copyFrom(source, text) {
  const isDone = await copy(text);
  const label = source.dataset.label ?? source.textContent;
  source.dataset.label = label;
  source.textContent = isDone ? "Copied" : "Not allowed";
  clearTimeout(Number(source.dataset.timer));
  source.dataset.timer = setTimeout(() => {
    source.textContent = label;
  }, SAID_MS);
}

// A button that copies what text() gives; `spoken` says what that is.
export function copyButton(spoken, text, shown = "Copy") {
  const made = button(shown, () => copyFrom(made, text()), { "aria-label": `Copy ${spoken}` });
  return made;
}

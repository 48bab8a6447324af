// A modal question.

import { button, element } from "./dom.js";

// Resolves to whether `yes` was chosen; to false after Escape, or if another question is open.
export function ask(text, yes, no) {
  if (document.querySelector("dialog[open]")) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (answer) => {
      dialog.remove();
      resolve(answer);
    };
    const keep = button(no, () => end(false), { class: "primary" });
    const dialog = element("dialog", { "aria-label": text, oncancel: () => end(false) },
      element("p", {}, text),
      element("div", { class: "actions" }, keep, button(yes, () => end(true), { class: "danger" })));
    document.body.append(dialog);
    dialog.showModal();
    keep.focus();
  });
}

// A modal dialog that is made for one use.

import { element } from "../../lib/dom.js";

// Opens a dialog; returns { root, close }. onClose() is called when it is closed, by whatever.
export function openDialog(title, parts, onClose = () => {}) {
  // A field with the focus would open a phone's keyboard over the rest.
  const heading = element("h2", { id: "made-title", tabindex: "-1", autofocus: "" }, title);
  const root = element("dialog", { class: "made", "aria-labelledby": "made-title" },
    heading, ...parts);
  root.addEventListener("close", () => {
    root.remove();
    onClose();
  });
  document.body.append(root);
  root.showModal();
  return { root, close: () => root.close() };
}

// Offers a text as a file to save.
export function saveFile(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser reads it meanwhile
}

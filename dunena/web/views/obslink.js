// A link that makes a browser source when it is dragged into OBS, and what OBS needs besides.

import { element } from "../lib/dom.js";

const SIZE = "layer-width=1920&layer-height=1080"; // OBS reads it from an address dropped on it

export function dragLink(address, title) {
  const href = `${address}?layer-name=${encodeURIComponent(title)}&${SIZE}`;
  return element("a", { href }, "Drag this into OBS");
}

// Returns what to do in OBS on a server that wants a token; null for any other.
export function signInNote(api) {
  if (!api.info.hasToken) return null;
  return element("p", { class: "quiet" },
    "OBS shows a page to sign in, once: right-click the source, choose Interact, and type the token.");
}

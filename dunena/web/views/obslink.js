// A link that makes a browser source when it is dragged into OBS.

import { element } from "../lib/dom.js";

const SIZE = "layer-width=1920&layer-height=1080"; // OBS reads it from an address dropped on it

export function dragLink(address, title) {
  const href = `${address}?layer-name=${encodeURIComponent(title)}&${SIZE}`;
  return element("a", { href }, "Drag this into OBS");
}

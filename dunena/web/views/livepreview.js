// A page that is shown small while it runs.

import { element } from "../lib/dom.js";

const SCREEN_PX = 1280; // the width in cards.css

// Returns an element with the page; nothing in it can be pressed.
export function livePreview(address, title) {
  const frame = element("iframe", {
    src: address, title: `Preview: ${title}`, loading: "lazy", tabindex: "-1", "aria-hidden": "true",
  });
  const screen = element("div", { class: "live-preview" }, frame);
  new ResizeObserver(([{ contentRect }]) => {
    frame.style.transform = `scale(${contentRect.width / SCREEN_PX})`;
  }).observe(screen);
  return screen;
}

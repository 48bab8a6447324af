// What an empty list of keys says: why nothing is there, and where to look instead.

import { button } from "../lib/dom.js";
import { count } from "../lib/format.js";

const OTHERS_MAX = 3;

// `q` is what was looked for, `others` are namespaces with keys; change(what) lists something else.
export function drawEmpty(line, isEverywhere, q, others, change) {
  const link = (text, what) => button(text, () => change(what), { class: "link" });
  let parts = ["No keys yet. Set the first one with “New key”, or from your own program."];
  if (q && isEverywhere) parts = [`No key and no value has “${q}” in it.`];
  else if (q) {
    parts = ["No key matches this filter. ",
      link("Search keys and values everywhere", { isEverywhere: true })];
  } else if (others.length) {
    const links = others.slice(0, OTHERS_MAX)
      .map(({ ns, keys }) => link(`${count(keys, "key")} in ${ns || "no namespace"}`, { ns }));
    parts = ["No keys here. ", ...links.flatMap((shown, index) => (index ? [", ", shown] : [shown]))];
  }
  const text = parts.map((part) => part.textContent ?? part).join("");
  if (line.textContent !== text) line.replaceChildren(...parts);
}

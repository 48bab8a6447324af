// The choice of a value's expiry: usual times, the remaining time, or any number of seconds.

import { element, setText } from "../../lib/dom.js";
import { duration } from "../../lib/format.js";

const CHOICES = [
  ["10 seconds", 10], ["1 minute", 60], ["10 minutes", 600], ["1 hour", 3600], ["1 day", 86_400],
];

export class Lifetime {
  root;
  #label = element("span", { class: "quiet", "aria-hidden": "true" });
  #select;
  #seconds = element("input", {
    type: "number", min: "1", step: "1", value: "30", "aria-label": "Seconds", class: "compact seconds",
  });

  constructor() {
    this.#select = element("select", { class: "compact" });
    this.#select.addEventListener("change", () => this.#showSeconds());
    this.root = element("span", { class: "actions lifetime" },
      this.#label, this.#select, this.#seconds);
    this.name(false);
    this.offer(0);
  }

  // Names the choice after what happens at the end of the time: the value expires or changes.
  name(isChange) {
    const label = isChange ? "Changes" : "Expires";
    setText(this.#label, label);
    this.#select.setAttribute("aria-label", label);
  }

  // Offers the choices for a value that expires in `left` ms, 0 for never, and selects that.
  offer(left) {
    const option = (value, text) => element("option", { value }, text);
    this.#select.replaceChildren(
      ...left ? [option("keep", `in ${duration(left)}, as now`)] : [],
      option("0", "never"),
      ...CHOICES.map(([text, seconds]) => option(seconds, `in ${text}`)),
      option("other", "in …"));
    this.#select.selectedIndex = 0;
    this.#showSeconds();
  }

  // Returns the chosen ttl in ms, 0 for no expiry; `left` is the remaining time.
  ttl(left) {
    const { value } = this.#select;
    if (value === "keep") return left;
    return 1000 * Math.max(0, Number(value === "other" ? this.#seconds.value : value));
  }

  focus() {
    this.#select.focus();
  }

  #showSeconds() {
    this.#seconds.hidden = this.#select.value !== "other";
  }
}

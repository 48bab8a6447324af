// The namespaces as a list to choose from, with the number of keys in each.

import { byId, element, setText } from "../lib/dom.js";
import { whole } from "../lib/format.js";

const SHOWN_MAX = 200;
const CAME_MS = 300; // from a key of an unknown namespace to the request for it
const FILTERED_FROM = 12; // number of namespaces from which on there is a filter

export class Namespaces {
  chosen = "";
  onChoose = () => {};
  onChange = () => {};
  #isWhole = false; // all names are shown
  #known = []; // { ns, keys } as listed without a filter
  #api;
  #soon = 0;
  #asks = 0;
  #items = new Map(); // namespace -> its button
  #list = byId("namespace-list");
  #filter = byId("namespace-filter");

  constructor(api) {
    this.#api = api;
    this.#filter.addEventListener("input", () => this.refresh());
  }

  // Those with keys besides the chosen one, the largest first: [{ ns, keys }].
  get others() {
    return this.#known.filter(({ ns, keys }) => keys && ns !== this.chosen)
      .sort((one, other) => other.keys - one.keys);
  }

  // Takes an event of cache-events: a namespace that is new appears by itself.
  apply({ event, data }) {
    if (event !== "set" || this.#items.has(data.ns ?? "") || !this.#isWhole || this.#soon) return;
    this.#soon = setTimeout(() => {
      this.#soon = 0;
      this.refresh();
    }, CAME_MS);
  }

  // Marks a namespace as chosen, which may be none that is known.
  choose(ns) {
    this.chosen = ns;
    for (const [name, item] of this.#items) item.setAttribute("aria-pressed", name === ns);
    if (this.#items.has(ns)) this.#reveal();
    else this.refresh();
  }

  async refresh() {
    this.#asks += 1;
    const ask = this.#asks;
    const wanted = this.#filter.value.trim();
    let answer;
    try {
      answer = await this.#api.namespaces(wanted ? `*${wanted}*` : "*", SHOWN_MAX);
    } catch {
      return; // the state of the connection shows the failure
    }
    if (ask !== this.#asks) return;
    this.#isWhole = !wanted && answer.total <= SHOWN_MAX;
    this.#draw(answer.namespaces, answer.total, Boolean(wanted));
    if (wanted) return;
    this.#known = answer.namespaces;
    this.onChange();
  }

  #draw(found, total, isFiltered) {
    this.#filter.hidden = !isFiltered && total <= FILTERED_FROM;
    setText(byId("namespace-count"), total > SHOWN_MAX ? `${SHOWN_MAX} of ${whole(total)}` : "");
    const shown = new Map(found.map(({ ns, keys }) => [ns, keys]));
    // The items of no namespace and of the shown one stay in the list even without keys.
    if (!isFiltered && !shown.has("")) shown.set("", 0);
    const isNew = !this.#items.has(this.chosen);
    if (!shown.has(this.chosen)) shown.set(this.chosen, 0);
    const names = [...shown.keys()].sort((one, other) => (one < other ? -1 : 1));
    const items = new Map(names.map((ns) => [ns, this.#items.get(ns) ?? this.#item(ns)]));
    this.#items = items;
    for (const [ns, item] of items) {
      setText(item.querySelector(".number"), whole(shown.get(ns)));
      item.setAttribute("aria-pressed", ns === this.chosen);
    }
    const wanted = [...items.values()].map((item) => item.parentNode);
    if (wanted.some((item, index) => item !== this.#list.children[index])
      || wanted.length !== this.#list.childElementCount) {
      const focused = document.activeElement;
      this.#list.replaceChildren(...wanted);
      if (this.#list.contains(focused)) focused.focus({ preventScroll: true });
    }
    if (isNew) this.#reveal();
  }

  #reveal() {
    this.#items.get(this.chosen).scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #item(ns) {
    const choose = () => {
      this.choose(ns);
      this.onChoose(ns);
    };
    const item = element("button", { type: "button", onclick: choose },
      element("span", { class: ns ? "name" : "name none" }, ns || "no namespace"),
      element("span", { class: "number" }));
    element("li", {}, item);
    return item;
  }
}

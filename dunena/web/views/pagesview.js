// The view of the user's pages: what there is, who has it open, and what went wrong in it.

import { copyButton } from "../lib/copy.js";
import { byId, button, element, loadStyle, say } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { addressOf, isOverlay } from "../lib/pages.js";
import { programName } from "../lib/program.js";
import { livePreview } from "./livepreview.js";
import { dragLink, signInNote } from "./obslink.js";
import { phoneButton } from "./phonebutton.js";

const REFRESH_MS = 2000;
const NAMES_MAX = 3;

export class PagesView {
  #api;
  #isShown = false;
  #isAsking = false;
  #cards = new Map(); // path -> its card
  #network = []; // the addresses of this server in the network
  #intro = element("p", { class: "quiet" });
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #list = element("ul", { class: "cards" });

  constructor(api, makePages) {
    this.#api = api;
    loadStyle("cards.css");
    byId("view-pages").append(
      element("div", { class: "panel pages" },
        element("div", { class: "panel-head" },
          element("h2", { class: "grow" }, "Pages"),
          button("New page", makePages, { class: "primary small" })),
        this.#intro, this.#problem, this.#list),
    );
    setInterval(() => {
      if (!document.hidden) this.refresh();
    }, REFRESH_MS);
  }

  show(isShown) {
    this.#isShown = isShown;
    if (isShown) this.refresh();
    else this.#clear(); // the previews would go on
  }

  async refresh() {
    if (!this.#isShown || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const [found, server] = await Promise.all([this.#api.ask("pages"), this.#api.ask("server")]);
      if (this.#isShown) this.#draw(found, server);
    } catch (error) {
      say(this.#problem, error.message);
    } finally {
      this.#isAsking = false;
    }
  }

  #clear() {
    this.#cards.clear();
    this.#list.replaceChildren();
  }

  #draw({ folder, problem, pages, hasMore }, { networkUrls }) {
    say(this.#problem, problem ?? "");
    if (`${networkUrls}` !== `${this.#network}`) this.#clear();
    this.#network = networkUrls;
    this.#intro.replaceChildren(...introduction(folder, pages, hasMore));
    const gone = new Set(this.#cards.keys());
    pages.forEach((page, index) => {
      gone.delete(page.path);
      let card = this.#cards.get(page.path);
      if (!card) this.#cards.set(page.path, card = this.#makeCard(page));
      card.update(page);
      if (this.#list.children[index] !== card.root) {
        this.#list.insertBefore(card.root, this.#list.children[index] ?? null);
      }
    });
    for (const path of gone) {
      this.#cards.get(path).root.remove();
      this.#cards.delete(path);
    }
  }

  #makeCard({ path, title }) {
    const address = this.#api.url(addressOf(path));
    const others = this.#network.map((base) => new URL(addressOf(path), `${base}/`).href);
    const isForObs = isOverlay(path);
    const name = element("h3", {});
    const people = element("p", { class: "quiet" });
    const errors = element("ul", { class: "page-errors", hidden: "" });
    const root = element("li", { class: "panel card", "data-path": path },
      previewOf(address, title || path, isForObs),
      name,
      element("p", { class: "quiet" }, path),
      people,
      errors,
      element("div", { class: "card-below" },
        element("div", { class: "actions" },
          element("a", { class: "button small", href: address, target: "_blank", rel: "opener" }, "Open"),
          copyButton(`address of ${path}`, () => address, "Copy address"),
          ...others.slice(0, 1).map((other) =>
            copyButton(`network address of ${path}`, () => other, "Copy network address")),
          isForObs ? null : phoneButton(this.#api, addressOf(path), (text) => say(this.#problem, text),
            "On a phone", { "aria-label": `Open ${path} on a phone` })),
        isForObs ? dragLink(address, title || path) : null,
        isForObs ? signInNote(this.#api) : null),
    );
    let drawn = "";
    return {
      root,
      update(page) {
        const now = JSON.stringify(page);
        if (now === drawn) return;
        drawn = now;
        name.textContent = page.title || path;
        people.textContent = whoHasItOpen(page);
        people.classList.toggle("is-open", page.opened > 0);
        errors.hidden = !page.errors.length;
        errors.replaceChildren(...page.errors.map(errorRow));
      },
    };
  }
}

// Shows an overlay by itself. Any other page may count its visitors or ask for a name, so it is
// shown when that is wanted.
function previewOf(address, title, isForObs) {
  if (isForObs) return livePreview(address, title);
  const place = element("div", { class: "live-preview" });
  place.append(button("Show preview", () => place.replaceWith(livePreview(address, title)),
    { "aria-label": `Show preview of ${title}` }));
  return place;
}

function introduction(folder, pages, hasMore) {
  if (folder === null) {
    return ["This server shows no pages of yours yet. “New page” makes some from a template."];
  }
  const found = pages.length ? `${count(pages.length, "page")} in ` : "There are no pages yet in ";
  return [found, element("code", {}, folder), hasMore ? ", and more that are not listed." : "."];
}

function whoHasItOpen({ opened, openedBy, lastLoad }) {
  if (!opened && !lastLoad) return "Nobody has it open.";
  if (!opened) {
    const when = new Date(lastLoad.at).toLocaleTimeString();
    return `Not connected. Last loaded at ${when} by ${programName(lastLoad.program)} at`
      + ` ${hostOf(lastLoad.address)}: if it is still open there, its script has not come to connect().`;
  }
  const names = openedBy.slice(0, NAMES_MAX).map(({ address, program, sessionName }) =>
    `${sessionName || programName(program)} at ${hostOf(address)}`);
  const more = opened > names.length ? [`${opened - names.length} more`] : [];
  return `Open: ${[...names, ...more].join(", ")}`;
}

function hostOf(address) {
  const host = address.replace(/:\d+$/, "");
  return /^(127\.|\[?::1\]?$)/.test(host) ? "this machine" : host;
}

function errorRow({ text, where, count: times, lastAt }) {
  const when = new Date(lastAt).toLocaleTimeString();
  return element("li", {},
    element("strong", {}, text),
    ` ${where ? `in ${where}, ` : ""}${count(times, "time")}, last at ${when}`);
}

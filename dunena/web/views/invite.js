// The dialog that brings a page to a phone: a QR code, and the address to copy. With tokens it is an
// invitation, which signs one browser in, once.

import { copyButton } from "../lib/copy.js";
import { button, element, loadStyle, say, setText } from "../lib/dom.js";
import { addressOf, isOverlay } from "../lib/pages.js";

const isOfThisMachine = (host) => /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(host);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

// Shows an invitation to a page of this server: a path such as "www/score/panel.html", with its query.
// Without one it is chosen in the dialog.
export async function openInvite(api, page = null) {
  const dialog = new PhoneDialog(api);
  const choices = page ? [[page.replace(/^\//, ""), page]] : await pagesToOpen(api);
  await dialog.open(choices);
}

// Shows the QR code of an address.
export function openCode(api, url) {
  const dialog = new PhoneDialog(api);
  dialog.showAddress([url], "The camera of a phone in the same network opens it.");
}

// Returns the paths and names of the pages that are for people, and of the test page.
async function pagesToOpen(api) {
  const { pages } = await api.ask("pages").catch(() => ({ pages: null }));
  if (pages) {
    const own = pages.filter(({ path }) => !isOverlay(path)).map(({ path, title }) =>
      [addressOf(path), title ? `${title}: ${path}` : path]);
    return [...own, ["test", "This test page"]];
  }
  // Who may not see the list knows of the templates.
  const { templates } = await api.ask("templates").catch(() => ({ templates: [] }));
  const made = templates.filter(({ isMade }) => isMade)
    .flatMap(({ title, pages: { panel, audience } }) => [
      [panel, `${title}: the panel`], ...(audience ? [[audience, `${title}: for the audience`]] : [])]);
  return [...made, ["test", "This test page"]];
}

function field(text, input) {
  return element("label", { hidden: "" }, element("span", {}, text), input);
}

class PhoneDialog {
  #api;
  #bases = []; // the addresses of the server for other machines
  #ends = 0; // performance.now() at the end of the invitation
  #timer = 0;
  #address = "";
  #picture = element("img", { class: "qr", alt: "QR code of the address", width: "260", height: "260" });
  #words = element("p", {});
  #left = element("p", { class: "quiet", role: "timer" });
  #shown = element("code", {});
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #addresses = element("select", { "aria-label": "Address" });
  #rights = element("select", {});
  #rightsField = field("Rights of", this.#rights);
  #page = element("select", {});
  #pageField = field("Page", this.#page);
  #code = element("div", { class: "qr-code", hidden: "" });
  #again = button("New invitation", () => this.#make(), { hidden: "" });
  #share = button("Share on this network", () => this.#begin(), { class: "primary", hidden: "" });
  #server = button("See “Server” for how", () => {
    this.#dialog.close();
    location.hash = "#server";
  }, { hidden: "" });
  #dialog;

  constructor(api) {
    this.#api = api;
    loadStyle("phones.css");
    this.#code.append(this.#picture, this.#addresses,
      element("div", { class: "copy-line" }, this.#shown,
        copyButton("the address", () => this.#address)));
    this.#addresses.onchange = () => this.#draw(this.#addresses.value);
    this.#rights.onchange = this.#page.onchange = () => this.#make();
    const close = button("Close", () => this.#dialog.close(), { class: "" });
    this.#dialog = element("dialog", { class: "phone-dialog", "aria-labelledby": "phone-title" },
      element("h2", { id: "phone-title" }, "Open on a phone"),
      this.#words, this.#pageField, this.#rightsField, this.#code, this.#left, this.#problem,
      element("div", { class: "actions" }, this.#share, this.#server, this.#again, close));
    this.#dialog.onclose = () => {
      clearInterval(this.#timer);
      this.#dialog.remove();
    };
    document.body.append(this.#dialog);
  }

  // Makes an invitation to the first of the pages: [[path, name]].
  async open(pages) {
    this.#dialog.showModal();
    this.#page.append(...pages.map(([path, name]) => element("option", { value: path }, name)));
    this.#pageField.hidden = pages.length < 2;
    await this.#ask();
  }

  // Asks for whom an invitation can be, and at which addresses; then makes one.
  async #ask() {
    try {
      const { tokens, urls } = await this.#api.ask("invites");
      this.#bases = urls;
      tokens.sort((a, b) => a.rights.length - b.rights.length); // first who may least
      this.#rights.replaceChildren(...tokens.map(({ name, rights }) =>
        element("option", { value: name }, `${name} (${rights.join(", ")})`)));
      this.#rightsField.hidden = tokens.length < 2;
    } catch (error) {
      say(this.#problem, error.message);
      return;
    }
    await this.#make();
  }

  // Shares the server, and makes an invitation.
  async #begin() {
    try {
      const { error } = await this.#api.share(true);
      say(this.#problem, error ?? "");
      this.#share.hidden = true;
      this.#server.hidden = !error;
      if (!error) await this.#ask();
    } catch (error) {
      say(this.#problem, error.message);
    }
  }

  // Shows addresses, the first of them as a code.
  showAddress(urls, words) {
    if (!this.#dialog.open) this.#dialog.showModal();
    setText(this.#words, words);
    this.#addresses.replaceChildren(...urls.map((url) =>
      element("option", { value: url }, new URL(url).host)));
    this.#addresses.hidden = urls.length < 2;
    this.#draw(urls[0]);
  }

  async #make() {
    say(this.#problem, "");
    const bases = isOfThisMachine(location.hostname)
      ? this.#bases : [...new Set([this.#api.url("").replace(/\/$/, ""), ...this.#bases])];
    if (!bases.length) {
      setText(this.#words, "Only this machine reaches the server now. Sharing opens it to your"
        + " network, for those who have an invitation or the token that is made for it. It ends when you"
        + " click “Stop sharing” under “Server” or the server stops.");
      this.#share.hidden = false;
      return;
    }
    const open = (path, words) => this.showAddress(bases.map((base) => `${base}${path}`), words);
    const page = `/${this.#page.value}`;
    if (!this.#rights.length) { // there are no tokens
      open(page, "Everybody in the same network can open this, without a token.");
      return;
    }
    let made;
    try {
      made = await this.#api.invite(page, this.#rights.value);
    } catch (error) {
      say(this.#problem, error.message);
      return;
    }
    this.#ends = performance.now() + made.seconds * 1000;
    open(made.path, "Point the phone’s camera at the code, then tap “Continue” there. It works once,"
      + ` for one phone, with the rights of ${this.#rights.selectedOptions[0].text}.`);
    this.#again.hidden = false;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#countDown(), 500);
    this.#countDown();
  }

  #draw(url) {
    this.#address = url;
    setText(this.#shown, url);
    this.#picture.src = this.#api.url(`qr?${new URLSearchParams({ text: url })}`);
    this.#code.hidden = false;
  }

  #countDown() {
    const seconds = Math.max(0, Math.ceil((this.#ends - performance.now()) / 1000));
    setText(this.#left, seconds ? `Good for ${clock(seconds)}` : "It is over: make a new one.");
    this.#code.classList.toggle("over", !seconds);
    if (!seconds) clearInterval(this.#timer);
  }
}

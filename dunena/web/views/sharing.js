// The addresses of the server, for this machine and for phones, and sharing it on the network. It is
// loaded when the view of the server is shown.

import { copyButton } from "../lib/copy.js";
import { button, element, loadStyle } from "../lib/dom.js";
import { codeButton, phoneButton } from "./phonebutton.js";

const SHELLS = [["bash", "On macOS and Linux"], ["windows", "On Windows, in PowerShell"]];

const paragraph = (text) => element("p", {}, text);
const copyLine = (text, name = text, ...more) => element("li", { class: "copy-line" },
  element("code", {}, text), copyButton(name, () => text), ...more);
const socketOf = (base) => `${base.replace(/^http/, "ws")}/ws`;

export class SharingPart {
  #api;
  #redraw;
  #failure = null; // why the server could not be shared: { reason, commands }
  #problem = "";

  // redraw() asks for the state and draws what rows() returns.
  constructor(api, redraw) {
    this.#api = api;
    this.#redraw = redraw;
    loadStyle("phones.css");
  }

  // What the rows depend on, besides the state.
  get from() {
    return [this.#problem, this.#failure];
  }

  // Returns what the part consists of, for the answer of /sharing.
  rows(state) {
    const own = this.#api.url("").replace(/\/$/, "");
    return [
      element("ul", {}, copyLine(`${own}/test`), copyLine(socketOf(own))),
      element("h3", {}, "Phones and other machines"),
      ...(state.isForNetwork || state.isShared ? this.#openRows(state) : this.#closedRows(state)),
      ...(this.#problem ? [element("p", { class: "problem", role: "alert" }, this.#problem)] : []),
      ...(this.#failure ? failureRows(this.#failure) : []),
    ];
  }

  #openRows({ isForNetwork, hasToken, token, urls }) {
    if (!urls.length) {
      return [paragraph("It listens to the network, but this machine has no address there at present.")];
    }
    const needsToken = hasToken || token;
    const words = needsToken
      ? "Phones in the same network reach it here. They are asked for a token, or use an invitation."
      : "Everybody in the same network can open these, read and change everything: --token changes that.";
    return [
      ...(isForNetwork ? [] : [element("p", {}, element("span", { class: "badge" },
        "Shared on this network"))]),
      paragraph(words),
      element("ul", {}, ...urls.map((base) => copyLine(`${base}/test`, `${base}/test`,
        codeButton(this.#api, `${base}/test`, this.#say)))),
      ...(token ? [element("details", {}, element("summary", {}, "The token, to type it"),
        element("div", { class: "copy-line" }, element("code", {}, token),
          copyButton("the token", () => token)))] : []),
      element("div", { class: "actions" },
        phoneButton(this.#api, null, this.#say, "Invite a phone", { class: "small primary" }),
        isForNetwork ? null : button("Stop sharing", () => this.#share(false))),
    ];
  }

  #closedRows({ hasToken, urls }) {
    if (!urls.length) return [paragraph("This machine is in no network at present.")];
    const who = hasToken
      ? "Whoever has the token, or an invitation from you, can open it there."
      : "Everybody there who has an invitation from you, or the token that is made for it, can read and"
        + " change everything. Without one nobody can. This machine needs none, as now.";
    return [
      paragraph("Only programs on this machine reach it now. Sharing opens it to the phones and computers"
        + ` in your network, at ${urls.join(" and ")}.`),
      paragraph(`${who} It ends when you click “Stop sharing” or the server stops.`),
      button("Share on this network", () => this.#share(true), { class: "primary" }),
    ];
  }

  async #share(isWanted) {
    this.#failure = null;
    this.#problem = "";
    try {
      const answer = await this.#api.share(isWanted);
      if (answer.error) [this.#problem, this.#failure] = [answer.error, answer];
    } catch (error) {
      this.#problem = error.message;
    }
    this.#redraw();
  }

  #say = (problem) => {
    this.#problem = problem;
    this.#redraw();
  };
}

function failureRows({ commands = {}, reason = "" }) {
  const isPart = (commands.bash ?? "").startsWith("--");
  return [
    paragraph(reason.includes("no network") ? "Connect it to one, or start it so that it listens always:"
      : isPart ? "Start the server with these options, too:" : "Stop the server, and start it like this:"),
    ...SHELLS.filter(([shell]) => commands[shell]).map(([shell, where]) =>
      element("div", {}, element("p", { class: "quiet" }, where),
        element("ul", {}, copyLine(commands[shell], `the command for ${shell}`)))),
  ];
}

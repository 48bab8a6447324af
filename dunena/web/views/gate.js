// Admission of the page: connections wait until the server has answered once over HTTP, because a
// browser does not tell a page why a WebSocket was refused. Asks the user for a token if needed.

import { byId, say } from "../lib/dom.js";
import { Unauthorized } from "../net/api.js";
import { Locked } from "../net/link.js";

export class Gate {
  onInfo = () => {};
  #api;
  #passing = null;
  #dialog = byId("token-dialog");
  #input = byId("token-input");
  #problem = byId("token-problem");

  constructor(api) {
    this.#api = api;
  }

  // Resolves when the server admits the page; both connections share one request.
  pass() {
    this.#passing ??= this.#pass().finally(() => {
      this.#passing = null;
    });
    return this.#passing;
  }

  async #pass() {
    for (;;) {
      try {
        this.onInfo(await this.#api.ask("info"));
        return;
      } catch (error) {
        if (!(error instanceof Unauthorized)) throw error;
      }
      await this.#ask();
    }
  }

  #ask() {
    say(this.#problem, "");
    this.#input.value = "";
    this.#dialog.showModal();
    return new Promise((resolve, reject) => {
      const finish = (settle) => {
        byId("token-form").onsubmit = null;
        this.#dialog.oncancel = null;
        this.#input.value = "";
        this.#dialog.close();
        settle();
      };
      const give = () => finish(() => reject(new Locked("Token needed")));
      this.#dialog.oncancel = give;
      byId("token-cancel").onclick = give;
      byId("token-form").onsubmit = async (event) => {
        event.preventDefault();
        try {
          await this.#api.openSession(this.#input.value);
          finish(resolve);
        } catch (error) {
          const isWrong = error instanceof Unauthorized;
          say(this.#problem, isWrong ? "That is not the token." : error.message);
          this.#input.select();
        }
      };
    });
  }
}

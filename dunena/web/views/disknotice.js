// The notice that a page opened from disk was refused, with a button that admits such pages.

import { byId, say } from "../lib/dom.js";

export class DiskNotice {
  #api;
  #notice = byId("disk-notice");
  #problem = byId("disk-notice-problem");
  #known = null; // the last known number of refusals of all origins
  #dismissedAt = -1; // the number of refused pages from disk when the notice was dismissed
  #refused = 0;

  constructor(api) {
    this.#api = api;
    byId("disk-notice-let-in").addEventListener("click", () => this.#accept());
    byId("disk-notice-dismiss").addEventListener("click", () => {
      this.#dismissedAt = this.#refused;
      this.#notice.hidden = true;
    });
  }

  // Takes the number of refusals in /info; requests the refused origins if it has grown.
  async sawRefusals(total) {
    if (total === this.#known || (this.#known === null && !total)) {
      this.#known = total;
      return;
    }
    this.#known = total;
    try {
      this.#show((await this.#api.ask("server")).pagesFromDisk);
    } catch {
      this.#known = null; // so that the next call requests them again
    }
  }

  // Admits pages opened from disk, or refuses them again; throws an error for the caller to show.
  async letIn(letIn) {
    await this.#api.letPagesFromDiskIn(letIn);
    this.#notice.hidden = true;
    this.#dismissedAt = this.#refused;
  }

  #show({ letIn, refused }) {
    this.#refused = refused;
    if (refused < this.#dismissedAt) this.#dismissedAt = -1; // the server was restarted
    const isNews = refused > 0 && refused !== this.#dismissedAt;
    this.#notice.hidden = letIn || !isNews;
  }

  async #accept() {
    try {
      await this.letIn(true);
      say(this.#problem, "");
    } catch (error) {
      say(this.#problem, error.message);
    }
  }
}

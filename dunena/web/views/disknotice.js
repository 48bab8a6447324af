// The notice that a page opened from disk was refused, with the remedy.

import { byId, say } from "../lib/dom.js";

export class DiskNotice {
  #api;
  #notice = byId("disk-notice");
  #problem = byId("disk-notice-problem");
  #known = null; // how many refusals of all origins there were
  #dismissedAt = -1; // refusals of pages from disk when the notice was put away
  #refused = 0;

  constructor(api) {
    this.#api = api;
    byId("disk-notice-let-in").addEventListener("click", () => this.#accept());
    byId("disk-notice-dismiss").addEventListener("click", () => {
      this.#dismissedAt = this.#refused;
      this.#notice.hidden = true;
    });
  }

  // What /info says now and then; who was refused is asked when there are more of them.
  async sawRefusals(total) {
    if (total === this.#known || (this.#known === null && !total)) {
      this.#known = total;
      return;
    }
    this.#known = total;
    try {
      this.#show((await this.#api.ask("server")).pagesFromDisk);
    } catch {
      this.#known = null; // to be asked again
    }
  }

  // Lets pages opened from disk in, or refuses them again; an error is the caller's to show.
  async letIn(letIn) {
    await this.#api.letPagesFromDiskIn(letIn);
    this.#notice.hidden = true;
    this.#dismissedAt = this.#refused;
  }

  #show({ letIn, refused }) {
    this.#refused = refused;
    if (refused < this.#dismissedAt) this.#dismissedAt = -1; // another server
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

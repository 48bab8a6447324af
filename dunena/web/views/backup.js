// The panel of backups: one is downloaded, or chosen, compared with what is there, and restored by
// transactions that the server has made from it.

import { button, element, say } from "../lib/dom.js";
import { count, whole } from "../lib/format.js";

const WAYS = [
  ["replace", "Make everything as it was"],
  ["merge", "Keep the other keys"],
];

const quiet = (text) => element("p", { class: "quiet" }, text);
const when = (ms) => new Date(ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

export class Backup {
  #api;
  #root;
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #said = element("p", { role: "status", hidden: "" });
  #below = element("div", { class: "stack" });
  #file = element("input", { type: "file", accept: ".zip,application/zip", hidden: "" });
  #buttons;

  constructor(api, root) {
    this.#api = api;
    this.#root = root;
    this.#file.setAttribute("aria-label", "Backup to restore");
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files;
      this.#file.value = ""; // so that the same file can be chosen again
      this.#choose(file);
    });
    this.#buttons = [
      button("Download a backup", () => this.#do("Making the backup …", async () => {
        await this.#download();
        return "The backup is among your downloads.";
      })),
      button("Restore a backup …", () => this.#file.click()),
    ];
    root.append(
      quiet("One zip file with all values and all pages as they are at this moment."),
      element("div", { class: "actions" }, ...this.#buttons, this.#file),
      this.#said, this.#problem, this.#below,
    );
  }

  // Does something that takes a while; shows what, then the sentence that it returns, or its error.
  async #do(words, act) {
    say(this.#problem, "");
    say(this.#said, words);
    this.#below.replaceChildren();
    this.#setBusy(true);
    try {
      say(this.#said, await act());
    } catch (error) {
      say(this.#said, "");
      say(this.#problem, error.message);
    } finally {
      this.#setBusy(false);
    }
  }

  #setBusy(isBusy) {
    for (const one of this.#buttons) one.disabled = isBusy;
    this.#root.setAttribute("aria-busy", isBusy);
  }

  // Downloads a backup; it is complete when this returns.
  async #download() {
    const response = await this.#api.send("backup");
    const [, name] = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"));
    const url = URL.createObjectURL(await response.blob());
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may take it up later
  }

  async #compare(file, way, batches = false) {
    const query = new URLSearchParams({ mode: way, batches });
    return (await this.#api.send(`backup?${query}`, { method: "POST", body: file })).json();
  }

  #choose(file) {
    if (!file) return;
    this.#do(`Checking ${file.name} …`, async () => {
      const found = await this.#compare(file, "replace");
      this.#showPlan(file, found);
      return "";
    });
  }

  // Shows what restoring would change, and asks how to.
  #showPlan(file, found) {
    const { madeAt, keys, pages, same, changed, deleted, expired } = found;
    const about = element("p", {}, element("strong", {}, file.name),
      ` was made on ${when(madeAt)} and has ${count(keys, "key")}.`);
    const rest = [
      expired ? quiet(`${count(expired, "key")} in it expired since and will be left out.`) : null,
      pages ? quiet(`It has ${count(pages, "file")} of pages, too. To get them back, unpack its `
        + "folder “pages” into your folder of pages.") : null,
    ];
    const adds = found.new;
    if (!adds && !changed && !deleted) {
      this.#below.replaceChildren(about, element("p", {}, "Everything is as it is in this backup."),
        ...rest.filter(Boolean), button("Close", () => this.#below.replaceChildren()));
      return;
    }
    const both = `${whole(adds)} new, ${whole(changed)} changed, ${whole(same)} the same, `;
    const numbers = {
      replace: `${both}${whole(deleted)} deleted`,
      merge: `${both}${count(deleted, "other key")} kept`,
    };
    const ways = WAYS.map(([way, text]) => element("label", { class: "inline" },
      element("input", { type: "radio", name: "backup-way", value: way }),
      element("span", {}, element("strong", {}, text), element("br"), numbers[way])));
    ways[0].querySelector("input").checked = true;
    const copy = element("input", { type: "checkbox" });
    copy.checked = true;
    const restore = button("Restore", () => {
      const way = ways.map((one) => one.querySelector("input")).find((one) => one.checked).value;
      this.#restore(file, way, copy.checked);
    }, { class: "small danger" });
    this.#below.replaceChildren(about, ...ways,
      element("label", { class: "inline" }, copy, "First download a backup of what is there now"),
      ...rest.filter(Boolean),
      element("div", { class: "actions" }, restore,
        button("Cancel", () => this.#below.replaceChildren())));
    restore.focus();
  }

  #restore(file, way, hasCopy) {
    this.#do("Restoring …", async () => {
      if (hasCopy) await this.#download();
      const { batches, deleted, changed, new: adds } = await this.#compare(file, way, true);
      const bar = element("progress", { max: batches.length, value: 0, "aria-label": "Restored" });
      this.#below.replaceChildren(bar);
      try {
        for (const batch of batches) {
          const headers = { "Content-Type": "application/json" };
          await this.#api.send("txn", { method: "POST", headers, body: batch });
          bar.value += 1;
        }
      } catch (error) {
        const done = bar.value ? "Only a part is restored" : "Nothing was changed";
        throw new Error(`${done}: ${error.message} Restore the same file again to do the rest.`);
      } finally {
        bar.remove();
      }
      return `Restored ${file.name}: ${whole(adds)} new, ${whole(changed)} changed, `
        + `${whole(deleted)} deleted.`;
    });
  }
}

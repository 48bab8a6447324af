// Importing files: a preview of what they would change, and then the import with its progress.

import { button, element, say, setText } from "../../lib/dom.js";
import { count, whole } from "../../lib/format.js";
import { readFile } from "../../lib/importfile.js";
import { countStanding, refusalsOf, storeEntries } from "../../net/transfer.js";
import { openDialog } from "./dialog.js";

const LOOKED_MS = 250; // from a change of the namespace to the request what is there

export class Importing {
  onDone = () => {}; // (namespace to show, undefined for the one that is shown)
  #api;
  #chooser = element("input", { type: "file", multiple: "", hidden: "",
    "aria-label": "Files to import", accept: ".json,.jsonl,.ndjson,.zip,.txt" });
  #ns = "";
  #files = [];
  #problems = ""; // of files that cannot be read
  #leftOut = []; // places that can have no key, with the reason
  #asks = 0;
  #timer = 0;
  #dialog = null;
  #list = element("ul", { class: "import-files" });
  #place = element("input", { "aria-label": "Namespace", placeholder: "no namespace" });
  #placeLine = element("label", {}, "Into the namespace", this.#place);
  #preview = element("p", { role: "status" });
  #problem = element("p", { class: "problem", role: "alert", hidden: "" });
  #progress = element("progress", { hidden: "", "aria-label": "Progress of the import" });
  #go = button("Import", () => this.#store(), { class: "primary" });
  #cancel = button("Cancel", () => this.#dialog.close());

  constructor(api) {
    this.#api = api;
    document.body.append(this.#chooser);
    this.#chooser.addEventListener("change", () => {
      if (this.#chooser.files.length) this.open([...this.#chooser.files], this.#ns);
      this.#chooser.value = ""; // so that the same file can be chosen again
    });
    this.#place.addEventListener("input", () => this.#soonLook());
  }

  // Lets the user choose files, for the namespace that is shown.
  choose(ns) {
    this.#ns = ns;
    this.#chooser.click();
  }

  // Shows what the files hold.
  async open(files, ns) {
    this.#dialog?.close();
    const asks = this.#begin(ns);
    const read = [];
    const problems = [];
    for (const file of files) {
      try {
        read.push({ ...await readFile(file), takesValue: false });
      } catch (error) {
        problems.push(error.message);
      }
    }
    if (asks !== this.#asks) return;
    for (const file of read) file.takesValue = Boolean(file.value) && read.length > 1;
    this.#files = read;
    this.#problems = problems.join(" ");
    say(this.#problem, this.#problems);
    this.#list.replaceChildren(...read.map((file) => this.#line(file)));
    this.#look();
  }

  #begin(ns) {
    this.#asks += 1;
    this.#ns = ns;
    this.#files = [];
    this.#place.value = ns;
    this.#place.disabled = false;
    this.#progress.hidden = true;
    this.#go.hidden = false;
    this.#go.disabled = true;
    this.#list.replaceChildren();
    setText(this.#cancel, "Cancel");
    setText(this.#preview, "Reading …");
    say(this.#problem, "");
    this.#dialog = openDialog("Import", [
      this.#list, this.#placeLine, this.#preview, this.#progress, this.#problem,
      element("div", { class: "actions" }, this.#go, this.#cancel),
    ], () => {
      this.#asks += 1; // ends what is going on
      this.#dialog = null;
    });
    return this.#asks;
  }

  // Makes the line of a file; one with an object may be that of a value, or of many.
  #line(file) {
    const { name, entries, value } = file;
    const line = element("li", {}, element("code", {}, name));
    if (!value) {
      line.append(element("span", { class: "quiet" }, count(entries.length, "key")));
      return line;
    }
    const choice = element("select", { class: "compact", "aria-label": `What ${name} is` },
      element("option", { value: "" }, `${count(entries.length, "key")} with their values`),
      element("option", { value: "1" }, `the value of the key ${value.key}`));
    choice.value = file.takesValue ? "1" : "";
    choice.addEventListener("change", () => {
      file.takesValue = Boolean(choice.value);
      this.#look();
    });
    line.append(choice);
    return line;
  }

  // Returns what would be stored, each key once, without what has expired; and how many have.
  get #wanted() {
    const found = new Map();
    const ns = this.#place.value.trim();
    let expired = 0;
    for (const { entries, value, takesValue } of this.#files) {
      for (const entry of takesValue ? [value] : entries) {
        const isOver = entry.expiresAt && entry.expiresAt <= Date.now();
        if (isOver && entry.then === undefined) expired += 1;
        else {
          const place = entry.ns ?? ns;
          found.set(`${place}\n${entry.key}`, { ...entry, ns: place });
        }
      }
    }
    return { entries: [...found.values()], expired };
  }

  #soonLook() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), LOOKED_MS);
  }

  // Shows how many keys would be new, and how many replaced.
  async #look() {
    this.#asks += 1;
    const asks = this.#asks;
    const { entries, expired } = this.#wanted;
    const isNamed = this.#files.some((file) =>
      (file.takesValue ? [file.value] : file.entries).some(({ ns }) => ns === null));
    this.#placeLine.hidden = !isNamed;
    this.#go.disabled = true;
    let found;
    try {
      found = await countStanding(this.#api, entries);
    } catch (error) {
      if (asks !== this.#asks) return;
      setText(this.#preview, "");
      say(this.#problem, error.message);
      return;
    }
    if (asks !== this.#asks) return;
    const { standing, refused } = found;
    this.#leftOut = refused;
    say(this.#problem, [this.#problems, refusalsOf(refused, "Left out")].join(" ").trim());
    const rest = this.#storable(entries);
    const gone = expired ? ` ${count(expired, "key")} had expired.` : "";
    const counts = `${whole(rest.length - standing)} new, ${whole(standing)} replaced`;
    setText(this.#preview, rest.length
      ? `${counts}, ${placesOf(rest)}.${gone}` : `There is nothing to import.${gone}`);
    this.#go.disabled = !rest.length;
  }

  #storable(entries) {
    const others = new Set(this.#leftOut.map(({ key }) => key));
    return entries.filter(({ key }) => !others.has(key));
  }

  async #store() {
    const leftOut = this.#leftOut;
    const entries = this.#storable(this.#wanted.entries);
    this.#asks += 1;
    const dialog = this.#dialog;
    const isOpen = () => this.#dialog === dialog;
    this.#go.hidden = true;
    this.#place.disabled = true;
    this.#progress.hidden = false;
    this.#progress.max = entries.length;
    this.#progress.value = 0;
    setText(this.#cancel, "Close");
    try {
      const { done, refused } = await storeEntries(this.#api, entries, (tried) => {
        if (!isOpen()) throw new Error("The import was ended.");
        this.#progress.value = tried;
        setText(this.#preview, `${whole(tried)} of ${whole(entries.length)} …`);
      });
      setText(this.#preview, `Stored ${count(done, "key")}.`);
      say(this.#problem, `${refusalsOf(leftOut, "Left out")} ${refusalsOf(refused)}`.trim());
      this.#cancel.focus();
      if (done) this.#end(entries);
    } catch (error) {
      if (isOpen()) say(this.#problem, error.message);
    }
    this.#progress.hidden = true;
  }

  // Shows the namespace that the keys are in, if it is one.
  #end(entries) {
    const namespaces = new Set(entries.map(({ ns }) => ns));
    this.onDone(namespaces.size === 1 ? entries[0].ns : undefined);
  }
}

// Says into which namespaces entries go.
function placesOf(entries) {
  const counts = new Map();
  for (const { ns } of entries) counts.set(ns, (counts.get(ns) ?? 0) + 1);
  if (counts.size === 1) return `in ${entries[0].ns || "no namespace"}`;
  const shown = [...counts].slice(0, 4)
    .map(([ns, keys]) => `${whole(keys)} in ${ns || "no namespace"}`).join(", ");
  return counts.size > 4 ? `${shown} and ${counts.size - 4} more namespaces` : shown;
}

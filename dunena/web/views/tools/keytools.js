// What the table of keys can do besides listing: searching everywhere, the tree, selecting many
// keys, and importing files. Loaded when one of them is first used.

import { byId, loadStyle } from "../../lib/dom.js";
import { takeDrops } from "../../lib/drops.js";
import { SearchSource } from "../../net/searchsource.js";
import { TreeSource } from "../../net/treesource.js";
import { Importing } from "./importing.js";
import { paintBranch, paintFound } from "./rows.js";
import { Selection } from "./selection.js";

export class KeyTools {
  sources; // { search, tree } for the table
  #selection;
  #importing;
  #listed;

  // listed() returns what the table shows; imported(ns) is called after an import, with the one
  // namespace that has all the keys, or undefined.
  constructor(api, table, { listed, imported }) {
    loadStyle("tools.css");
    const search = new SearchSource(api);
    const tree = new TreeSource(api);
    search.paint = (row, entry) => paintFound(row, entry, search.q);
    tree.paint = paintBranch;
    this.sources = { search, tree };
    this.#listed = listed;
    this.#selection = new Selection(api, table, listed);
    this.#importing = new Importing(api);
    this.#importing.onDone = imported;
    takeDrops(byId("view-keys"), (files) => this.importFiles(files));
  }

  pick(index, isRange) {
    return this.#selection.pick(index, isRange);
  }

  pickAll() {
    return this.#selection.pickAll();
  }

  clear() {
    this.#selection.clear();
  }

  // Imports files, or those that the user chooses.
  importFiles(files) {
    const { ns } = this.#listed();
    if (files) this.#importing.open(files, ns);
    else this.#importing.choose(ns);
  }
}

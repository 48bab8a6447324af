// Keys as a tree: the parts of their names, which end with "/", ":" or ".", are folders. A folder
// has at least two keys: one with a single key is shown as that key, and one with nothing but a
// folder in it as one with that.

const PART = /[/:.]*[^/:.]+[/:.]+(?=[^/:.])/gy;

class Folder {
  folders = new Map(); // label -> Folder
  keys = new Set();
  count = 0; // of the keys in it and below
  #sorted = null;

  constructor(path) {
    this.path = path;
  }

  changed() {
    this.#sorted = null;
  }

  // What is in it, in the order of names: [name, Folder or null for a key].
  get items() {
    this.#sorted ??= [...[...this.folders].map(([label, folder]) => [this.path + label, folder]),
      ...[...this.keys].map((key) => [key, null])]
      .sort(([one], [other]) => (one < other ? -1 : Number(one > other)));
    return this.#sorted;
  }

  // Its one folder if there is nothing else in it.
  get only() {
    return this.keys.size || this.folders.size !== 1 ? null : this.folders.values().next().value;
  }

  *all() {
    for (const [key, folder] of this.items) {
      if (folder) yield* folder.all();
      else yield key;
    }
  }
}

export class KeyTree {
  #root = new Folder("");

  get count() {
    return this.#root.count;
  }

  // Adds a key; returns whether it is new.
  add(key) {
    const way = this.#way(key, true);
    const folder = way.at(-1);
    if (folder.keys.has(key)) return false;
    folder.keys.add(key);
    for (const each of way) {
      each.count += 1;
      each.changed();
    }
    return true;
  }

  // Removes a key; returns whether it was there.
  remove(key) {
    const way = this.#way(key, false);
    if (!way?.at(-1).keys.delete(key)) return false;
    for (const [index, each] of way.entries()) {
      each.count -= 1;
      each.changed();
      const below = way[index + 1];
      if (below?.count === 1) each.folders.delete(below.path.slice(each.path.length));
      if (below?.count === 1) break;
    }
    return true;
  }

  // Returns the rows that are shown: { key } or { folder, isOpen }, with label and depth.
  rows(isOpen) {
    const rows = [];
    const walk = (folder, depth) => {
      for (const [name, inside] of folder.items) {
        if (!inside) {
          rows.push({ key: name, label: name.slice(folder.path.length), depth });
          continue;
        }
        let below = inside;
        while (below.only) below = below.only;
        if (below.count === 1) {
          const [key] = below.keys;
          rows.push({ key, label: key.slice(folder.path.length), depth });
          continue;
        }
        const opens = isOpen(below.path);
        rows.push({ folder: below, label: below.path.slice(folder.path.length), depth,
          isOpen: opens });
        if (opens) walk(below, depth + 1);
      }
    };
    walk(this.#root, 0);
    return rows;
  }

  // Returns the folders down to that of a key; undefined if one is missing and not to be made.
  #way(key, makes) {
    const way = [this.#root];
    for (const label of key.match(PART) ?? []) {
      const above = way.at(-1);
      let folder = above.folders.get(label);
      if (!folder) {
        if (!makes) return undefined;
        folder = new Folder(above.path + label);
        above.folders.set(label, folder);
      }
      way.push(folder);
    }
    return way;
  }
}

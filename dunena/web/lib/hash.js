// The part of the address after "#": it names a view, and for the keys what is shown of them.

// Returns { view, key, isNew, ns, q, isEverywhere }; the key is null if there is none.
export function parseHash(hash) {
  const [view, query = ""] = hash.slice(1).split("?");
  const fields = new URLSearchParams(query);
  return {
    view, key: fields.get("key"), isNew: fields.has("new"), ns: fields.get("ns") ?? "",
    q: fields.get("q") ?? "", isEverywhere: fields.get("in") === "all",
  };
}

// Returns the address of a key, or of a list for null: with what is searched for there.
export function hashOf(key, ns, { isNew = false, q = "", isEverywhere = false } = {}) {
  const fields = Object.entries({ key, ns, q, in: q && isEverywhere ? "all" : "" })
    .filter(([, text]) => text);
  const query = `${isNew ? "new&" : ""}${new URLSearchParams(fields)}`.replace(/&$/, "");
  return query ? `#keys?${query}` : "#keys";
}

// What the address says after its "#": a view, and of the keys one that is shown.

// { view, key, ns }; the key is null where there is none.
export function placeOf(hash) {
  const [view, query = ""] = hash.slice(1).split("?");
  const fields = new URLSearchParams(query);
  return { view, key: fields.get("key"), ns: fields.get("ns") ?? "" };
}

export function hashOf(key, ns) {
  return `#keys?${new URLSearchParams(ns ? { key, ns } : { key })}`;
}

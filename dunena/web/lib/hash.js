// Parses the part of the address after "#", which names a view and may name a key.
// Returns { view, key, ns }; the key is null if there is none.
export function parseHash(hash) {
  const [view, query = ""] = hash.slice(1).split("?");
  const fields = new URLSearchParams(query);
  return { view, key: fields.get("key"), ns: fields.get("ns") ?? "" };
}

export function hashOf(key, ns) {
  return `#keys?${new URLSearchParams(ns ? { key, ns } : { key })}`;
}

// Changes of one place in a value. The server makes them, so what others change elsewhere stays.

import { isSamePlace, MOVED, GONE, needsRevision, nodeAt, patchOf, placeOf, pointerOf, Refusal,
  textOf } from "../lib/edits.js";
import { parse } from "../lib/jsonparse.js";

const TRIES_MAX = 5; // for a key that others change all the time
const RETURNED_CHARS_MAX = 64_000; // of a value that is worth to be sent back
const AGAIN = ["conflict", "test_failed", "no_path"]; // the value is another than the page knew

// `where` is { api, operations, source }; the source shows the key. `seen` is the node of the value
// that the user has seen: a list that is another by now is refused. Throws lib/edits.js's Refusal.

// Makes an edit; resolves to { text, revision } of the value after it, text null if it is unknown.
export async function makeEdit(where, edit, seen) {
  const isStrict = needsRevision(edit);
  return attempt(where, placeOf(edit), seen, async ({ key, ns, root, entry }) => {
    const wantsValue = isStrict && entry.text.length <= RETURNED_CHARS_MAX;
    const { rev, value } = await where.operations.patch(key, ns,
      isStrict ? entry.revision : null, patchOf(edit, root), wantsValue);
    return { text: value ?? null, revision: rev };
  });
}

// Adds to the number at a path; resolves to { number, text, revision }: the new number's JSON, and
// the value after it, null where no list is on the way.
export async function makeStep(where, path, by, seen) {
  const isStrict = path.some((step) => typeof step === "number");
  return attempt(where, path, seen, async ({ key, ns, root, entry }) => {
    const { rev, value } = await where.operations.incr(key, ns,
      isStrict ? entry.revision : null, pointerOf(path), by);
    if (isStrict) nodeAt(root, path).text = value;
    return { number: value, text: isStrict ? textOf(root) : null, revision: rev };
  });
}

async function attempt({ api, source }, path, seen, act) {
  const { key, ns } = source;
  let { entry } = source;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    try {
      return await act(judged(entry, path, seen, { key, ns }));
    } catch (error) {
      // The entry that the page has may be the one before its last change.
      const isAgain = error instanceof Refusal ? tries === 0 : AGAIN.includes(error.code);
      if (!isAgain) throw error;
    }
    entry = await (source.key === key && source.ns === ns ? source.reload() : api.entry(key, ns));
  }
  throw new Error("The value changes all the time. Try again.");
}

function judged(entry, path, seen, place) {
  if (!entry) throw new Refusal(GONE);
  const root = parse(entry.text);
  if (seen && !isSamePlace(seen, root, path)) throw new Refusal(MOVED);
  if (path.length && !nodeAt(root, path.slice(0, -1))) throw new Refusal(GONE);
  return { ...place, root, entry };
}

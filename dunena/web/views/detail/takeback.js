// Takes back what the page has changed, unless somebody else has changed the same meanwhile.

import { inverseOf, isSame, needsRevision, OTHER, Refusal } from "../../lib/edits.js";
import { parse } from "../../lib/jsonparse.js";
import { makeEdit } from "../../net/placeedit.js";

// Takes back a change of views/detail/changes.js in the key that the source shows; `where` is that
// of net/placeedit.js. Throws Refusal.
export async function takeBack(where, change) {
  if (change.edit) await takeBackEdit(where, change);
  else await takeBackWhole(where, change);
}

async function takeBackEdit(where, { key, ns, edit, after }) {
  // Of a large value it is not known what it was after the change.
  if (needsRevision(edit) && after.text === null) {
    const entry = await where.api.entry(key, ns);
    if (entry?.revision !== after.revision) throw new Refusal(OTHER);
  }
  await makeEdit(where, inverseOf(edit), after.text === null ? null : parse(after.text));
}

async function takeBackWhole({ api, operations }, { key, ns, before, after }) {
  const entry = await api.entry(key, ns);
  const isMine = entry && after ? isSame(entry.text, after.text) : !entry && !after;
  if (!isMine) throw new Refusal(OTHER);
  const revision = entry?.revision ?? 0;
  try {
    if (!before) await operations.remove(key, ns, revision);
    else if (before.text === after?.text) await operations.touch(key, ns, revision, before);
    else await restore(operations, key, ns, revision, before, entry);
  } catch (error) {
    throw error.code === "conflict" ? new Refusal(OTHER) : error;
  }
}

// Brings an earlier value back: from the server's history if it has it, which keeps the expiry.
async function restore(operations, key, ns, revision, before, entry) {
  const isLasting = !before.ttl && !entry?.expiresAt;
  if (isLasting && operations.keepsHistory) {
    try {
      await operations.revert(key, ns, revision, before.revision);
      return;
    } catch (error) {
      if (error.code !== "no_rev") throw error;
    }
  }
  await operations.set(key, ns, revision, before.text, before);
}

// What to say of changes.

import { GONE, MOVED, OTHER, TAKEN } from "../../lib/edits.js";
import { AWAY } from "../../net/api.js";

const SHOWN_CHARS_MAX = 100;

// Returns what to say of an error that a change met; `name` is the one that a member was to get.
export function inWords(error, name) {
  const words = {
    [GONE]: "Somebody removed this meanwhile, so nothing was changed.",
    [MOVED]: "The list changed meanwhile, so nothing was changed. Look at it again.",
    [OTHER]: "Somebody changed this meanwhile, so nothing was changed. Look at it again.",
    [TAKEN]: `There is a “${name}” already.`,
  };
  if (error.message === AWAY) return "Offline: this is not saved. Try it again later.";
  return words[error.reason] ?? `Refused: ${error.message}`;
}

// Returns JSON as a person reads it in a sentence.
export function shortened(json) {
  const text = json.startsWith('"') ? `“${JSON.parse(json)}”` : json;
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}

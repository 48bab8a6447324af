// Buttons that bring a page to a phone: they load the dialog of invite.js.

import { button } from "../lib/dom.js";
import { AWAY } from "../net/api.js";

// Makes a button that invites a phone to a page, "www/score/panel.html" for example; null lets the
// user choose one.
export function phoneButton(api, page, onProblem, text = "On a phone", attributes = {}) {
  return button(text, () => withDialog(({ openInvite }) => openInvite(api, page), onProblem), attributes);
}

// Makes a button that shows the QR code of an address.
export function codeButton(api, url, onProblem) {
  return button("QR", () => withDialog(({ openCode }) => openCode(api, url), onProblem),
    { "aria-label": `QR code of ${url}` });
}

async function withDialog(act, onProblem) {
  const loaded = await import("./invite.js").catch(() => null);
  if (loaded) act(loaded);
  else onProblem(AWAY);
}

// A button that opens the menu of copymenu.js, which is loaded when it is needed.

import { button, element } from "../lib/dom.js";
import { AWAY } from "../net/api.js";

// Makes the button. groups() returns what can be copied: [{ title, text }], with the text of a
// message that is JSON; place() returns what programs need (`Api.place`).
export function copyMenuButton(groups, place, onProblem) {
  let menu = null;
  const open = async () => {
    const shown = groups();
    if (!shown.length) return;
    const loaded = await import("./copymenu.js").catch(() => null);
    if (!loaded) {
      onProblem(AWAY);
      return;
    }
    menu ??= new loaded.CopyMenu(source, onProblem);
    menu.open(shown, place());
  };
  const source = button("Copy as", () => (menu?.isOpen ? menu.close() : open()), {
    class: "small opens-menu", "aria-haspopup": "menu", "aria-expanded": "false",
    onkeydown: (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      event.preventDefault();
      open();
    },
  });
  return element("span", {}, source); // the menu is put beside its button
}

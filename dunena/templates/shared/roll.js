// Digits and letters that roll when they change; overlay.css has the animation.

/** Show a text in an element: each character that is another one rolls in from below. */
export function roll(element, text) {
  const before = [...(element.dataset.text ?? "")];
  const after = [...String(text)];
  if (before.join("") === after.join("")) return;
  element.dataset.text = after.join("");
  element.replaceChildren(...after.map((character, place) => {
    // Places are counted from the right, so that 9 and 10 have the same ones.
    const old = before[before.length - after.length + place];
    const cell = document.createElement("span");
    cell.className = "cell";
    cell.append(part(character, old !== character && before.length ? "in" : ""));
    if (old !== undefined && old !== character) {
      const leaving = part(old, "out");
      leaving.ariaHidden = "true";
      leaving.onanimationend = () => leaving.remove();
      cell.append(leaving);
    }
    return cell;
  }));
}

function part(character, name) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = character;
  return span;
}

// The few things the page does with elements. Text from outside goes in as text, never as markup.

export function byId(id) {
  return document.getElementById(id);
}

// element("button", { type: "button", class: "small", onclick }, "Text", child); of the children
// those that are null are left out.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) made.addEventListener(attribute.slice(2), value);
    else if (value !== null) made.setAttribute(attribute, value);
  }
  made.append(...children.filter((child) => child !== null)); // strings become text nodes
  return made;
}

export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", class: "small", ...attributes, onclick }, text);
}

// Sets a text only where it is another one: the browser would lay out what did not change.
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// A line that is there only while it says something.
export function say(line, text) {
  setText(line, text);
  line.hidden = !text;
}

// Starts an element's brief highlight, also while the last one still runs.
export function flash(target) {
  target.classList.remove("changed");
  void target.offsetWidth; // or the browser would see no difference
  target.classList.add("changed");
}

export function onCtrlEnter(target, act) {
  target.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    act();
  });
}

// Calls draw() once in the next animation frame, however often it was asked for.
export function drawer(draw) {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      draw();
    });
  };
}

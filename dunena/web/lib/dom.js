// Helpers for elements. Text from outside is always inserted as text, never as markup.

export function byId(id) {
  return document.getElementById(id);
}

// Makes an element: element("button", { type: "button", class: "small", onclick }, "Text", child).
// Children that are null are left out.
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

// Loads a stylesheet of this page that not every visit needs, once.
export function loadStyle(name) {
  const { href } = new URL(`../${name}`, import.meta.url);
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(element("link", { rel: "stylesheet", href }));
}

// Sets an element's text if it differs: setting the same text would cause a new layout.
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// Sets the text of a line, which is hidden while the text is empty.
export function say(line, text) {
  setText(line, text);
  line.hidden = !text;
}

// Starts an element's brief highlight, again if it is running.
export function flash(target) {
  target.classList.remove("changed");
  void target.offsetWidth; // forces a layout, without which the animation does not start again
  target.classList.add("changed");
}

export function onCtrlEnter(target, act) {
  target.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    act();
  });
}

// Returns a function that calls act() at once, or later if it did so a short time ago: `ms`, or five
// times as long as act() took.
export function paced(act, ms) {
  let isBusy = false;
  let isWanted = false;
  return async () => {
    isWanted = true;
    if (isBusy) return;
    isBusy = true;
    while (isWanted) {
      isWanted = false;
      const began = performance.now();
      await act();
      const pause = Math.max(ms, 5 * (performance.now() - began));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    isBusy = false;
  };
}

// Returns a function that calls draw() in the next animation frame, once per frame.
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

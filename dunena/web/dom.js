// The few things the page does with elements. Text from outside goes in as text, never as markup.

export function byId(id) {
  return document.getElementById(id);
}

// element("button", { type: "button", class: "small", onclick }, "Text", child)
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) made.addEventListener(attribute.slice(2), value);
    else if (value !== null) made.setAttribute(attribute, value);
  }
  made.append(...children); // strings become text nodes
  return made;
}

// A line that is there only while it says something.
export function say(line, text) {
  line.textContent = text;
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

export function clockTime(date = new Date()) {
  const two = (number) => String(number).padStart(2, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function count(number, singular, plural = `${singular}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;
}

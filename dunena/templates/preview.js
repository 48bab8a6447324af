// Stands in for overlay.js where a template is shown before there is a copy of it: the values are
// those of template.json, and its `preview` says what changes, a step every two seconds.
const { values, preview } = await (await fetch("template.json")).json();
const { style, dataset } = document.documentElement;
const watches = [];

dataset.theme = values.look.theme;
style.setProperty("--accent", values.look.color);

export const store = {
  now: Date.now,
  watch(what, callback) {
    watches.push({ what, callback });
    show(what, callback);
  },
};

export { roll } from "./roll.js";

function show(what, callback) {
  if (typeof what === "string") callback(values[what] ?? null);
  else if (what.keys) callback(values);
  else callback(Object.fromEntries(
    Object.entries(values).filter(([key]) => key.startsWith(what.pattern.slice(0, -1)))));
}

function bind() {
  for (const element of document.querySelectorAll("[data-bind]")) {
    const [path, format] = element.dataset.bind.split(" | ");
    const value = path.split(".").reduce((part, name) => part?.[name], values);
    if (value === undefined) continue;
    const seconds = Math.ceil((value.timer?.ms ?? 0) / 1000);
    element.textContent = format === "timer"
      ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
      : value;
  }
}

let step = 0;
function next() {
  for (const [key, fields] of Object.entries(preview[step % preview.length]))
    values[key] = Array.isArray(fields) ? fields : { ...values[key], ...fields };
  step += 1;
  bind();
  for (const { what, callback } of watches) show(what, callback);
}
bind();
next();
setInterval(next, 2000);

// What every panel here uses: the store, and the line that says "saved", "refused" or "offline".
import { connect } from "/dunena.js";

// Values are in the namespace that has the name of this folder. A copy of the folder under another
// name is a second one, with values of its own.
const ns = decodeURIComponent(location.pathname.split("/").at(-2));

// A copy says which one it is.
const title = document.querySelector("h1:not([data-bind])");
if (title && !title.textContent.toLowerCase().replaceAll(" ", "-").includes(ns)) {
  title.append(` (${ns})`);
  document.title += ` (${ns})`;
}

const line = document.querySelector("#status");
let unsaved = 0;
let refusal = "";

export const store = connect({ ns });

// A new folder begins with the values of template.json. Only then can anything be pressed.
try {
  if (!(await store.keys()).length) {
    const { values } = await (await fetch("template.json")).json();
    await Promise.all(Object.entries(values).map(([key, value]) =>
      store.set(key, value, { ifRev: 0 }).catch((error) => {
        if (error.code !== "conflict") throw error; // another panel was faster
      })));
  }
} catch (error) {
  refusal = error.message; // whoever is signed in may not change this
}
store.onStatus(report);

/** Show what becomes of a change: `save(store.set("key", 1))`. */
export async function save(change) {
  unsaved += 1;
  refusal = "";
  report();
  try {
    await change;
  } catch (error) {
    refusal = error.message;
  }
  unsaved -= 1;
  report();
}

// Opens this page anew: the server asks there who it is, and this tab goes on.
const signIn = document.createElement("a");
Object.assign(signIn, { textContent: "Sign in", href: location.href, target: "_blank" });

function report() {
  const isOffline = store.status !== "open";
  const isSignedOut = isOffline && store.error?.message === "Unauthorized";
  line.className = isOffline ? "offline" : refusal ? "refused" : unsaved ? "saving" : "saved";
  line.textContent =
    isSignedOut ? `Signed out. ${unsaved ? `${unsaved} to send. ` : ""}`
    : isOffline && unsaved ? `Offline. ${unsaved} to send when the server is back`
    : isOffline ? "Offline"
    : refusal ? `Refused: ${refusal}`
    : unsaved ? "Saving"
    : line.dataset.ready ?? "Saved";
  if (isSignedOut) line.append(signIn);
}

for (const link of document.querySelectorAll("a.open")) link.target = "_blank";

// What all overlays have at the end of their panels: light or dark, and the colour.
const look = document.querySelector("#look");
if (look) {
  look.innerHTML = `
    <h2>Look</h2>
    <div class="row">
      <label>Background <select name="theme"><option value="dark">Dark</option><option value="light">Light</option></select></label>
      <label>Colour <input type="color" name="color"></label>
    </div>`;
  look.oninput = () =>
    save(store.merge("look", { theme: look.theme.value, color: look.color.value }));
  store.watch("look", (now) => {
    look.theme.value = now?.theme ?? "dark";
    look.color.value = now?.color ?? "#f5a623";
  });
}

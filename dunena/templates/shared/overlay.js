// What every overlay here uses: the store, its colours, and digits that roll (roll.js).
import { connect } from "/dunena.js";
export { roll } from "./roll.js";

// Values are in the namespace that has the name of this folder.
const ns = decodeURIComponent(location.pathname.split("/").at(-2));
const { style, dataset } = document.documentElement;

export const store = connect({ ns });

store.watch("look", (look) => {
  dataset.theme = look?.theme ?? "dark";
  style.setProperty("--accent", look?.color ?? "#f5a623");
});

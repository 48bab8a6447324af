// What the page remembers from visit to visit. A browser may refuse to, and then it forgets.

const PREFIX = "dunena.";

export function recall(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private windows and full storages: nothing that matters is lost.
  }
}

// A menu of programs: what a message does is copied as text for the chosen one.

import { copyFrom } from "../lib/copy.js";
import { Menu } from "../lib/menu.js";
import { read } from "../lib/request.js";
import { PROGRAMS } from "../lib/snippets.js";

const NO_REQUEST = "No HTTP request does what this message does: it needs a WebSocket.";
const NO_GET_WRITE = "No GET request does what this message does: those change one key.";

// What a button does to a stored number or timer, which is another one when the button is pressed:
// returns the group for it, and that of the value without the programs for buttons.
function withPress(group) {
  const { value, key, ns } = JSON.parse(group.text);
  const isTimer = value?.timer && "running" in value.timer;
  if (!isTimer && typeof value !== "number") return [group];
  const [title, more] = isTimer
    ? ["Start or stop", { action: "timer", key, do: "toggle" }]
    : ["Add one", { action: "incr", key }];
  return [{ title, text: JSON.stringify({ ...more, ns }) }, { ...group, isStale: true }];
}

export class CopyMenu {
  #source;
  #onProblem;
  #place;
  #menu = new Menu("Copy as");

  // Shows the menu below its button `source`.
  constructor(source, onProblem) {
    this.#source = source;
    this.#onProblem = onProblem;
  }

  get isOpen() {
    return this.#menu.isOpen;
  }

  open(groups, place) {
    this.#place = place;
    const shown = groups.flatMap((group) => (group.isStored ? withPress(group) : [group]));
    this.#menu.open(this.#source,
      shown.map((group) => ({ title: group.title, items: this.#items(group) })));
  }

  close() {
    this.#menu.close();
  }

  #items({ text, isStale }) {
    const { isOp } = read(text);
    const programs = PROGRAMS.filter(({ isGetWrite, isForButtons }) =>
      (isOp || !isGetWrite) && !(isStale && isForButtons));
    return programs.map((program) => {
      const isOff = program.isGetWrite && !this.#place.hasGetWrites;
      return {
        text: program.name, note: isOff ? "start with --get-writes" : "", isOff,
        act: () => this.#copy(program, text),
      };
    });
  }

  #copy({ make, isGetWrite }, text) {
    const copied = make(text, this.#place);
    if (copied === null) this.#onProblem(isGetWrite ? NO_GET_WRITE : NO_REQUEST);
    else copyFrom(this.#source, copied);
  }
}

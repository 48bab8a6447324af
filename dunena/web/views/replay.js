// Sending a file of messages, one JSON text per line, one after another.

import { byId, say } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { faultOf } from "../lib/jsonparse.js";

const FILE_BYTES_MAX = 64 * 1024 * 1024;
const UNSENT_BYTES_MAX = 1024 * 1024; // limit of bytes that wait in the browser
const AT_ONCE = 200;

export class Replay {
  #link;
  #messages = [];
  #next = 0;
  #timer = 0;
  #panel = byId("replay");
  #status = byId("replay-status");
  #problem = byId("replay-problem");
  #start = byId("replay-start");
  #file = byId("replay-file");

  constructor(link) {
    this.#link = link;
    this.#start.addEventListener("click", () => (this.#timer ? this.#stop() : this.#begin()));
    byId("replay-close").addEventListener("click", () => this.#close());
  }

  canSend(isOnline) {
    this.#start.disabled = !isOnline;
    if (!isOnline && this.#timer) {
      this.#stop();
      say(this.#problem, `The connection was lost after ${this.#next} of ${this.#messages.length}.`);
    }
  }

  // Shows the messages of the chosen file, which can then be sent.
  async load() {
    const [file] = this.#file.files;
    this.#file.value = ""; // otherwise the same file could not be chosen again
    if (!file) return;
    this.#stop();
    this.#panel.hidden = false;
    this.#messages = [];
    this.#next = 0;
    const problem = file.size > FILE_BYTES_MAX ? "The file is too large." : await this.#read(file);
    say(this.#problem, problem);
    this.#start.hidden = Boolean(problem);
    this.#status.textContent = problem
      ? file.name
      : `${count(this.#messages.length, "message")} in ${file.name}`;
  }

  async #read(file) {
    const lines = (await file.text()).replace(/^\uFEFF/, "").split(/\r?\n/);
    for (const [index, line] of lines.entries()) {
      if (!line.trim()) continue;
      const fault = faultOf(line);
      if (fault) return `Line ${index + 1} is not JSON: ${fault.message.replace(/^Line 1, /, "")}`;
      this.#messages.push(line);
    }
    return this.#messages.length ? "" : "There is no message in the file.";
  }

  #begin() {
    this.#next = 0;
    say(this.#problem, "");
    this.#start.textContent = "Stop";
    this.#timer = setTimeout(() => this.#send(), 0);
  }

  #send() {
    const pause = Number(byId("replay-pause").value);
    let left = pause ? 1 : AT_ONCE;
    while (left > 0 && this.#next < this.#messages.length && this.#link.unsent < UNSENT_BYTES_MAX) {
      if (!this.#link.send(this.#messages[this.#next])) return;
      this.#next += 1;
      left -= 1;
    }
    this.#status.textContent = `${this.#next} of ${this.#messages.length} sent`;
    if (this.#next < this.#messages.length) this.#timer = setTimeout(() => this.#send(), pause);
    else this.#stop();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#start.textContent = "Send all";
  }

  #close() {
    this.#stop();
    this.#panel.hidden = true;
    byId("replay-choose").focus();
  }
}

// One WebSocket that comes back: connects, tells what arrives, and tries again with growing pauses
// until it is told to stop. Everything that passes is put into the log it was given.

const FIRST_PAUSE_MS = 250;
const PAUSE_MS_MAX = 15_000;
// A connection that held this long was a good one: the next failure starts from the first pause.
const GOOD_MS = 5000;
// A peer that vanished without a word (a pulled cable, a machine that sleeps) is found out by two
// of these without an answer.
const BEAT_MS = 4000;

// What admit() rejects with when the user did not give the token.
export class Locked extends Error {}

export class Link {
  path = "ws";
  state = "off"; // off, connecting, open, waiting, locked
  retryAt = 0; // while waiting: when it tries again, Unix ms
  onState = () => {};
  onFrame = () => {};
  // A message that gets an answer, sent when nothing was heard for a while; "" for a connection
  // whose messages are the user's own.
  heartbeat = "";

  #name;
  #api;
  #admit;
  #log;
  #socket = null;
  #attempt = null; // what a late answer of an attempt given up is known by
  #failures = 0;
  #openedAt = 0;
  #lastReason = "";
  #timer = 0;
  #beats = 0;
  #wasHeard = true;

  // admit() resolves when the server may be connected to.
  constructor(name, api, admit, log) {
    this.#name = name;
    this.#api = api;
    this.#admit = admit;
    this.#log = log;
  }

  connect() {
    this.#drop();
    this.#failures = 0;
    this.#lastReason = "";
    this.#open();
  }

  disconnect() {
    if (this.state === "open") this.#log.note(this.#name, "disconnected");
    this.#drop();
    this.#become("off");
  }

  // The server wants a token again: nothing is tried until somebody connects.
  lock() {
    this.#drop();
    this.#become("locked");
  }

  // What the system has not taken yet, bytes.
  get unsent() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  // Try now instead of at the end of the pause.
  hurry() {
    if (this.state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#open();
  }

  // False if there is no connection to send on.
  send(text) {
    if (this.state !== "open") return false;
    this.#log.frame(this.#name, "out", text);
    this.#socket.send(text);
    return true;
  }

  async #open() {
    const attempt = Symbol("attempt");
    this.#attempt = attempt;
    this.#become("connecting");
    try {
      await this.#admit();
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof Locked) this.#become("locked");
      else this.#wait(error.message);
      return;
    }
    if (attempt === this.#attempt) this.#openSocket();
  }

  #openSocket() {
    const socket = new WebSocket(this.#api.socketUrl(this.path));
    this.#socket = socket;
    const ifCurrent = (act) => (event) => {
      if (socket === this.#socket) act(event);
    };
    socket.onopen = ifCurrent(() => {
      this.#openedAt = Date.now();
      this.#beginBeats();
      this.#lastReason = "";
      this.#log.note(this.#name, `connected to ${socket.url}`);
      this.#become("open");
    });
    socket.onmessage = ifCurrent(({ data }) => {
      this.#wasHeard = true;
      this.#log.frame(this.#name, "in", data);
      this.onFrame(data);
    });
    socket.onclose = ifCurrent(({ code, reason }) => {
      this.#socket = null;
      clearInterval(this.#beats);
      if (this.state !== "open") {
        this.#wait("the connection was refused");
        return;
      }
      if (Date.now() - this.#openedAt > GOOD_MS) this.#failures = 0;
      this.#wait(`closed with ${code}${reason ? `: ${reason}` : ""}`);
    });
  }

  #beginBeats() {
    clearInterval(this.#beats);
    if (!this.heartbeat) return;
    this.#wasHeard = true;
    let isAsked = false;
    this.#beats = setInterval(() => {
      if (this.#wasHeard) isAsked = false;
      else if (isAsked) {
        this.#drop();
        this.#wait("the server did not answer");
        return;
      }
      this.#wasHeard = false;
      isAsked = true;
      this.#socket.send(this.heartbeat);
    }, BEAT_MS);
  }

  #wait(why) {
    // A server that is away for an hour is one line in the log.
    if (why !== this.#lastReason) this.#log.note(this.#name, why);
    this.#lastReason = why;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, PAUSE_MS_MAX);
    this.#failures += 1;
    // Many pages of one server must not all come back in the same moment.
    const spread = pause * (0.8 + 0.4 * Math.random());
    this.retryAt = Date.now() + spread;
    this.#timer = setTimeout(() => this.#open(), spread);
    this.#become("waiting");
  }

  #drop() {
    clearTimeout(this.#timer);
    clearInterval(this.#beats);
    this.#attempt = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #become(state) {
    this.state = state;
    this.onState();
  }
}

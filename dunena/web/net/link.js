// A WebSocket that reconnects, with growing pauses, until it is told to stop. It passes received
// messages on and writes all messages to the given log.

const FIRST_PAUSE_MS = 250;
const PAUSE_MS_MAX = 15_000;
// After a connection that lasted this long, the pauses begin with the shortest one again.
const GOOD_MS = 5000;
// Time between heartbeats. Two of them without an answer mean that the peer is gone without
// closing, as after a pulled cable or when its machine sleeps.
const BEAT_MS = 4000;

// The error of admit() if the user did not enter the token.
export class Locked extends Error {}

export class Link {
  path = "ws";
  state = "off"; // off, connecting, open, waiting, locked
  retryAt = 0; // while waiting: time of the next try, Unix ms
  onState = () => {};
  onFrame = () => {};
  // A message that the server answers, sent when nothing was received for a while; "" for a
  // connection on which only the user sends messages.
  heartbeat = "";

  #name;
  #api;
  #admit;
  #log;
  #socket = null;
  #attempt = null; // identifies the present attempt, to ignore events of former ones
  #failures = 0;
  #openedAt = 0;
  #lastReason = "";
  #timer = 0;
  #beats = 0;
  #wasHeard = true;

  // admit() resolves when the server accepts connections.
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

  // Stops until connect() is called, as the server needs a token again.
  lock() {
    this.#drop();
    this.#become("locked");
  }

  // Bytes that were not handed to the system yet.
  get unsent() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  // Ends the pause and tries to connect now.
  hurry() {
    if (this.state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#open();
  }

  // Sends a message; returns false if there is no connection.
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
    // The same reason is logged once, however long the server is away.
    if (why !== this.#lastReason) this.#log.note(this.#name, why);
    this.#lastReason = why;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, PAUSE_MS_MAX);
    this.#failures += 1;
    // The pause is random, so that many pages of one server do not reconnect at the same time.
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

// The followed keys: a card for each, fed by a connection of its own in the object-store dialect,
// because only that one sends values, and sends them as they are.

import { Card } from "./card.js";
import { byId, say } from "./dom.js";

const STATE_WORDS = {
  off: "offline", connecting: "connecting …", open: "live", waiting: "reconnecting …",
  locked: "token needed",
};

export class Follow {
  #api;
  #link;
  #changed;
  #cards = new Map(); // name -> card
  #problem = byId("follow-problem");

  // changed(isFollowed) is called when the set of followed keys is another one.
  constructor(api, link, changed) {
    this.#api = api;
    this.#link = link;
    this.#changed = changed;
    link.onState = () => this.#showState();
    link.onFrame = (text) => this.#receive(text);
    byId("follow-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const key = byId("follow-key");
      this.add(key.value, byId("follow-ns").value);
      key.value = "";
    });
  }

  // Follow a key, or show the card it has.
  add(key, ns) {
    const name = nameOf(key, ns);
    let card = this.#cards.get(name);
    if (!card) {
      card = new Card(key, ns, {
        set: (value) => this.#api.set(key, ns, value),
        remove: () => this.#send("delete", card),
        unfollow: () => this.#unfollow(name, card),
      });
      this.#cards.set(name, card);
      byId("follow-cards").prepend(card.root);
      this.#subscribe(card);
      this.#tell();
    }
    card.root.scrollIntoView({ block: "nearest" });
  }

  #unfollow(name, card) {
    this.#send("unsubscribe", card);
    this.#cards.delete(name);
    card.root.remove();
    this.#tell();
    byId("follow-key").focus();
  }

  #tell() {
    byId("follow-empty").hidden = this.#cards.size > 0;
    this.#changed((key, ns) => this.#cards.has(nameOf(key, ns)));
  }

  #subscribe(card) {
    say(this.#problem, "");
    this.#send("subscribe", card);
    // A key without a value is answered with nothing; a get says so.
    this.#send("get", card);
  }

  #send(action, { key, ns }) {
    return this.#link.send(JSON.stringify(ns ? { action, key, ns } : { action, key }));
  }

  #showState() {
    const { state } = this.#link;
    const badge = byId("follow-state");
    badge.dataset.state = state;
    badge.textContent = STATE_WORDS[state];
    byId("follow-cards").classList.toggle("stale", state !== "open");
    // What changed while we were away arrives with the new subscriptions.
    if (state === "open") for (const card of this.#cards.values()) this.#subscribe(card);
  }

  #receive(text) {
    const message = JSON.parse(text);
    if ("error" in message) say(this.#problem, message.error);
    else this.#cards.get(nameOf(message.key, message.ns ?? ""))?.receive(text);
  }
}

function nameOf(key, ns) {
  return JSON.stringify([ns, key]);
}

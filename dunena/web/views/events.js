// The stream of the store's events and of the messages of other channels, and the number per second.

import { sayOn } from "../lib/copy.js";
import { byId, button, element, say } from "../lib/dom.js";
import { clockTime, size, whole } from "../lib/format.js";
import { compact, member } from "../lib/json.js";
import { faultOf } from "../lib/jsonparse.js";
import { recall, remember } from "../lib/memory.js";
import { kept, openable, RowLog } from "../lib/rowlog.js";
import { AWAY } from "../net/api.js";
import { RateChart } from "./chart.js";
import { copyMenuButton } from "./copybutton.js";

const CACHE_EVENTS = "cache-events";
const DRAW_MS = 1000;
const PUBLISH_ID = "publish";

export class Events {
  onOpenKey = () => {}; // (key, ns)
  #link;
  #channels = new Set(recall("channels", []).filter((name) => typeof name === "string"));
  #followsCache = true;
  #wasConnected = false;
  #total = 0;
  #chart = new RateChart(byId("events-chart"));
  #list = byId("channel-list");
  #problem = byId("channel-problem");
  #name = byId("channel-name");
  #data = byId("publish-data");
  #rows = new RowLog("events", ["filter", "kind"], (record) => this.#row(record), matches);

  // place() returns what programs need that publish the same.
  constructor(link, place) {
    this.#link = link;
    this.#rows.onDraw = (isCleared) => {
      if (isCleared) this.#total = 0;
      byId("events-count").textContent = whole(this.#total);
    };
    byId("channel-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(this.#name.value);
    });
    byId("publish-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#publish();
    });
    byId("publish-form").append(copyMenuButton(() => this.#written(),
      place, (text) => say(this.#problem, text)));
    setInterval(() => {
      if (!document.hidden) this.#drawRate();
    }, DRAW_MS);
    this.#drawChannels();
    this.#drawRate();
  }

  redraw() {
    this.#rows.redraw();
    this.#drawRate();
  }

  // Subscribes again on a new connection, on which the server starts cache-events by itself.
  connected() {
    for (const channel of this.#channels) {
      this.#send("subscribe", channel);
      if (this.#wasConnected) this.#addGap(channel, "what came without a connection was missed");
    }
    this.#wasConnected = true;
  }

  // Takes a message of the connection, and its text: an event, or an answer about channels.
  receive(message, text) {
    const { type, channel, event, data, id, timestamp } = message;
    if (channel === undefined) {
      if (type === "error") say(this.#problem, data);
      else if (id === PUBLISH_ID) sayOn(byId("publish"), "Published");
      return;
    }
    const isCache = channel === "cache";
    if (isCache && !this.#followsCache) return;
    if (event === "gap") {
      this.#addGap(channel, `${whole(data.missed)} missed`, timestamp);
      return;
    }
    this.#total += 1;
    this.#chart.add();
    const time = clockTime(new Date(timestamp ?? Date.now()));
    this.#rows.add(isCache
      ? { time, kind: event, channel, data: data ?? {} }
      : { time, kind: "message", channel, ...kept(member(text, "data") ?? "") });
  }

  #addGap(channel, text, timestamp = Date.now()) {
    this.#rows.add({ time: clockTime(new Date(timestamp)), kind: "gap", channel, text });
  }

  #publish() {
    const [written] = this.#written();
    if (written && !this.#link.send(written.text)) say(this.#problem, AWAY);
  }

  // Returns the message that publishes what is written, for the menu that copies it; none if
  // something is missing.
  #written() {
    const fault = faultOf(this.#data.value);
    const text = this.#data.value.trim()
      ? fault && `The message is no JSON: ${fault.message}. A text stands in quotes.`
      : "Write a message first.";
    say(this.#problem, this.#name.value ? text ?? "" : "Name a channel first.");
    if (!this.#name.value || text) {
      (this.#name.value ? this.#data : this.#name).focus();
      return [];
    }
    const fields = { type: "publish", channel: this.#name.value, id: PUBLISH_ID };
    const data = compact(this.#data.value);
    return [{ title: "Publish this", text: `${JSON.stringify(fields).slice(0, -1)},"data":${data}}` }];
  }

  #add(channel) {
    say(this.#problem, "");
    if (!channel) return;
    if (channel === CACHE_EVENTS) this.#followsCache = true;
    else {
      this.#channels.add(channel);
      this.#send("subscribe", channel);
      remember("channels", [...this.#channels]);
    }
    this.#drawChannels();
  }

  #leave(channel) {
    // The table of keys needs cache-events: they are only hidden here.
    if (channel === CACHE_EVENTS) this.#followsCache = false;
    else {
      this.#channels.delete(channel);
      this.#send("unsubscribe", channel);
      remember("channels", [...this.#channels]);
    }
    this.#drawChannels();
    this.#name.focus();
  }

  #send(type, channel) {
    this.#link.send(JSON.stringify({ type, channel }));
  }

  #drawChannels() {
    const names = [...this.#followsCache ? [CACHE_EVENTS] : [], ...this.#channels];
    this.#list.replaceChildren(...names.map((name) => element("li", { class: "chip" },
      element("span", { class: "key" }, name),
      button("×", () => this.#leave(name), { class: "chip-close", "aria-label": `Leave ${name}` }))));
  }

  #drawRate() {
    this.#chart.draw();
    const { now, peak } = this.#chart.rates;
    byId("events-rate").textContent = whole(now);
    byId("events-peak").textContent = whole(peak);
  }

  #row(record) {
    const { time, kind, channel, text, data } = record;
    const head = [element("time", {}, time), element("span", { class: `kind ${kind}` }, kind)];
    const name = element("span", { class: "ns" }, channel);
    if (kind === "message") {
      const row = openable([...head, name], record);
      row.classList.add("event");
      return row;
    }
    const what = kind === "gap" ? [name, element("span", { class: "text" }, text)] : [
      ...data.ns ? [element("span", { class: "ns" }, data.ns)] : [],
      data.key === undefined
        ? element("span", { class: "text" }, "everything")
        : button(data.key, () => this.onOpenKey(data.key, data.ns ?? ""), { class: "link key" }),
      element("span", { class: "size" }, data.size === undefined ? "" : size(data.size)),
    ];
    return element("div", { class: "row event" }, ...head, ...what);
  }
}

function matches({ kind, channel, data, text = "" }, [wanted, wantedKind]) {
  const searched = `${data?.ns ?? ""} ${data?.key ?? ""} ${channel} ${text}`.toLowerCase();
  return (!wantedKind || wantedKind === kind) && (!wanted || searched.includes(wanted));
}

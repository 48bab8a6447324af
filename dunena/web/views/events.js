// The stream of the store's events and of other followed channels, and the number per second.

import { byId, button, element, say } from "../lib/dom.js";
import { clockTime, size, whole } from "../lib/format.js";
import { recall, remember } from "../lib/memory.js";
import { RowLog } from "../lib/rowlog.js";
import { RateChart } from "./chart.js";

const CACHE_EVENTS = "cache-events";
const DRAW_MS = 1000;
const TEXT_CHARS_MAX = 500;

export class Events {
  onOpenKey = () => {}; // (key, ns)
  #link;
  #channels = new Set(recall("channels", []).filter((name) => typeof name === "string"));
  #followsCache = true;
  #total = 0;
  #chart = new RateChart(byId("events-chart"));
  #list = byId("channel-list");
  #problem = byId("channel-problem");
  #rows = new RowLog("events", ["filter", "kind"], (record) => this.#row(record), matches);

  constructor(link) {
    this.#link = link;
    this.#rows.onDraw = (isCleared) => {
      if (isCleared) this.#total = 0;
      byId("events-count").textContent = whole(this.#total);
    };
    byId("channel-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(byId("channel-name").value);
      byId("channel-name").value = "";
    });
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
    for (const channel of this.#channels) this.#send("subscribe", channel);
  }

  // Takes a message of the connection: an event, or an answer about channels.
  receive(message) {
    if (message.channel === undefined) {
      if (message.type === "error") say(this.#problem, message.data);
      return;
    }
    const isCache = message.channel === "cache";
    if (isCache && !this.#followsCache) return;
    this.#total += 1;
    this.#chart.add();
    this.#rows.add({
      time: clockTime(new Date(message.timestamp ?? Date.now())),
      kind: message.event ?? "message",
      isCache,
      channel: message.channel,
      data: message.data ?? {},
    });
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
    byId("channel-name").focus();
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

  #row({ time, kind, isCache, channel, data }) {
    const what = isCache
      ? [
        ...data.ns ? [element("span", { class: "ns" }, data.ns)] : [],
        data.key === undefined
          ? element("span", { class: "text" }, "everything")
          : button(data.key, () => this.onOpenKey(data.key, data.ns ?? ""), { class: "link key" }),
        element("span", { class: "size" }, data.size === undefined ? "" : size(data.size)),
      ]
      : [
        element("span", { class: "ns" }, channel),
        element("code", { class: "text" }, JSON.stringify(data).slice(0, TEXT_CHARS_MAX)),
      ];
    return element("div", { class: "row event" }, element("time", {}, time),
      element("span", { class: `kind ${isCache ? kind : ""}` }, kind), ...what);
  }
}

function matches({ kind, channel, data }, [wanted, wantedKind]) {
  const text = `${data.ns ?? ""} ${data.key ?? ""} ${channel}`.toLowerCase();
  return (!wantedKind || wantedKind === kind) && (!wanted || text.includes(wanted));
}

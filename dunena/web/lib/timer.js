// A timer as people read it.

import { two } from "./format.js";

// Returns "4:58 counting down" for the JSON of a timer, "" for other JSON or a part of it. `now` is
// the server's time, Unix ms.
export function timerText(json, now) {
  if (!/^\{"timer":\{.*\}$/.test(json)) return "";
  let timer;
  try {
    ({ timer } = JSON.parse(json));
  } catch {
    return "";
  }
  const { at, ms, rate, running } = timer;
  if (![at, ms, rate].every(Number.isFinite)) return "";
  const isRunning = running && rate !== 0;
  const shown = (isRunning ? ms + rate * (now - at) : ms) / 1000;
  // A countdown shows 0:00 only when it has ended.
  const seconds = rate < 0 ? Math.max(0, Math.ceil(shown)) : Math.floor(shown);
  const direction = rate > 0 ? "counting up" : seconds ? "counting down" : "ended";
  const whole = Math.abs(seconds);
  return `${seconds < 0 ? "-" : ""}${Math.floor(whole / 60)}:${two(whole % 60)} ${
    isRunning ? direction : "stopped"}`;
}

// Formatting numbers and times for people.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const two = (number) => String(number).padStart(2, "0");

export function clockTime(date = new Date()) {
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

// Formats a time of the past: "14:03:22", with the day if that is not today.
export function moment(date) {
  const time = clockTime(date).slice(0, -4);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? time : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

export function whole(number) {
  return number.toLocaleString("en");
}

export function count(number, singular, plural = `${singular}s`) {
  return `${whole(number)} ${number === 1 ? singular : plural}`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const kilo = bytes / 1024;
  if (kilo < 1024) return `${kilo.toFixed(kilo < 10 ? 1 : 0)} KB`;
  const mega = kilo / 1024;
  return `${mega.toFixed(mega < 10 ? 1 : 0)} MB`;
}

// Formats a duration in ms by its two largest units: "3 d 4 h", "2 min 05 s", "41 s".
export function duration(ms) {
  const left = Math.max(0, ms);
  if (left < MINUTE) return `${Math.ceil(left / SECOND)} s`;
  if (left < HOUR) return `${Math.floor(left / MINUTE)} min ${two(Math.floor(left % MINUTE / SECOND))} s`;
  if (left < DAY) return `${Math.floor(left / HOUR)} h ${two(Math.floor(left % HOUR / MINUTE))} min`;
  return `${whole(Math.floor(left / DAY))} d ${Math.floor(left % DAY / HOUR)} h`;
}

// Numbers, sizes and times as people read them; decimal units, as CDSE uses them.

export function number(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function plural(count, word) {
  return `${number(count)} ${word}${count === 1 ? "" : "s"}`;
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

export function rate(bytesPerSecond) {
  return `${size(bytesPerSecond)}/s`;
}

export function span(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count || words.length) words.push([count, unit]);
  }
  const shown = words.slice(0, 2).filter(([count]) => count);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ") || "0 s";
}

export function percent(share) {
  return `${Math.floor(100 * share)} %`;
}

export function hour(date) {
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

export function day(date) {
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

// A time of today is hours and minutes; another one has its day.
export function clock(date, now = new Date()) {
  return date.toDateString() === now.toDateString() ? hour(date) : `${day(date)} ${hour(date)}`;
}

export function ago(iso, now) {
  return `${span((now - Date.parse(iso)) / 1000)} ago`;
}

// Bytes over time as bars, with the same numbers as a table for those who do not see them.

import { draw, table } from "./dom.js";
import { clock, day, hour, size } from "./format.js";

const charts = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Sum steps so that few bars remain: 30 days are shown day by day.
export function byDay(traffic) {
  const sums = new Map();
  const first = Date.parse(traffic.first_at);
  traffic.bytes.forEach((bytes, n) => {
    const midnight = new Date(first + 1000 * n * traffic.step_s);
    midnight.setHours(0, 0, 0, 0);
    sums.set(midnight.getTime() / 1000, (sums.get(midnight.getTime() / 1000) ?? 0) + bytes);
  });
  return [[...sums.keys()], [...sums.values()]];
}

export function byHour(traffic) {
  const first = Date.parse(traffic.first_at) / 1000;
  return [traffic.bytes.map((_, n) => first + n * traffic.step_s), traffic.bytes];
}

export function chart(place, text, tablePlace, name, data, stepS) {
  const total = data[1].reduce((sum, bytes) => sum + bytes, 0);
  text.textContent = `${name}: ${size(total)}, at most ${size(Math.max(0, ...data[1]))} in ${stepS === 3600 ? "an hour" : "a day"}`;
  const label = (s) => (stepS === 3600 ? clock : day)(new Date(1000 * s));
  draw(tablePlace, data, () => table(`${name}, bytes received`, [["From", ""], ["Received", "right"]], data[0].map((s, n) => [label(s), size(data[1][n])]).reverse()));
  charts.set(place, () => plot(place, data, stepS));
  charts.get(place)();
}

function plot(place, data, stepS) {
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const width = Math.max(200, place.clientWidth);
  const first = data[0][0] - 0.6 * stepS;
  const last = data[0][data[0].length - 1] + 0.6 * stepS;
  const plotted = new window.uPlot(
    {
      width,
      height: place.clientHeight || 170,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: true, range: [first, last] }, y: { range: (_, __, most) => [0, most || 1] } },
      axes: [
        { ...axis, space: 60, values: (_, splits) => splits.map((s) => (stepS === 3600 ? hour : day)(new Date(1000 * s))) },
        { ...axis, size: 70, values: (_, splits) => splits.map((bytes) => (bytes ? size(bytes) : "0")) },
      ],
      series: [{}, { stroke: colour("--accent"), fill: colour("--accent"), paths: window.uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } }],
    },
    data,
  );
  place.replaceChildren(plotted.root);
}

let waiting = null;

function again() {
  clearTimeout(waiting);
  waiting = setTimeout(() => charts.forEach((redraw) => redraw()), 150);
}

addEventListener("resize", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

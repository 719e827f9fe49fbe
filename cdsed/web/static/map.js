// A map of footprints on a canvas, in plain longitude and latitude, with the coastline that comes with the page.

import { FAILED, ON_DISK } from "./blocks.js";
import { h } from "./dom.js";
import { number, plural } from "./format.js";

const KINDS = {
  disk: { title: "on disk", states: ON_DISK, colour: "--good", fill: 0.35, dash: [], width: 1 },
  transfer: { title: "in transfer", states: ["downloading", "verifying"], colour: "--accent", fill: 0.25, dash: [], width: 3 },
  waiting: { title: "waiting", states: ["queued", "resolving", "ready", "retry_wait"], colour: "--quiet", fill: 0, dash: [], width: 1 },
  failed: { title: "failed", states: FAILED, colour: "--bad", fill: 0.15, dash: [5, 4], width: 2 },
};
const AGAIN_MS = 60000;
const NAMES_SHOWN = 5;
const WORLD = { x: 0, y: 10, scale: 0 };

function kindOf(state) {
  return Object.keys(KINDS).find((kind) => KINDS[kind].states.includes(state));
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["--land", ...Object.values(KINDS).map((kind) => kind.colour)].map((name) => [name, style.getPropertyValue(name).trim()]));
}

function rings(geometry) {
  return geometry.type === "Polygon" ? [geometry.coordinates[0]] : geometry.coordinates.map((polygon) => polygon[0]);
}

function inside(ring, x, y) {
  let within = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
    const [xi, yi] = ring[i];
    const [xj, yj] = ring[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

export class FootprintMap {
  constructor(canvas, parts, read) {
    this.canvas = canvas;
    this.parts = parts;
    this.read = read;
    this.land = [];
    this.features = [];
    this.chosen = null;
    this.view = { ...WORLD };
    this.pointers = new Map();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.draw();
      this.drawLegend();
    });
    fetch("static/land.json").then((response) => response.json()).then((land) => {
      this.land = land.coordinates;
      this.draw();
    }, () => {});
    setInterval(() => !document.hidden && this.load(false), AGAIN_MS);
  }

  // Offer the listings of the status for choice; begin with the first.
  offer(listings) {
    const select = this.parts.listing;
    const values = listings.filter((each) => each.products).map((each) => [String(each.id), each.name]);
    if (JSON.stringify(values) !== this.offered) {
      this.offered = JSON.stringify(values);
      select.replaceChildren(...values.map(([value, name]) => h("option", { value }, name)));
      if (values.length) select.value = values.some(([value]) => value === this.chosen) ? this.chosen : values[0][0];
    }
    if (values.length && select.value !== this.chosen) this.choose(select.value);
    if (!values.length) this.parts.text.textContent = "No listing has products yet.";
  }

  choose(id) {
    this.chosen = String(id);
    this.parts.listing.value = this.chosen;
    return this.load(true);
  }

  async load(fit) {
    if (!this.chosen) return;
    const asked = this.chosen;
    try {
      const found = await this.read(`listings/${asked}/footprints`);
      if (asked !== this.chosen) return;
      this.show(found, fit);
    } catch (error) {
      this.parts.text.textContent = `The footprints cannot be read now: ${error.message}.`;
    }
  }

  show(found, fit) {
    this.features = found.features.map((feature) => ({ ...feature.properties, kind: kindOf(feature.properties.state), rings: rings(feature.geometry) }));
    const total = plural(found.products, "product");
    const cut = found.looked_at < found.products ? ` The map looks at the first ${number(found.looked_at)}.` : "";
    this.parts.text.textContent = this.features.length
      ? `Footprints of ${number(this.features.length)} of ${total}.${cut}`
      : `No footprint is known of ${total}: neither the listing nor a response of the catalogue on this disk has one.${cut}`;
    this.drawLegend();
    if (fit) this.fit();
    this.draw();
  }

  shown() {
    const only = this.parts.states.value;
    return only ? this.features.filter((each) => each.kind === only) : this.features;
  }

  drawLegend() {
    this.colours = colours();
    const items = Object.entries(KINDS).map(([kind, style]) => {
      const sample = h("canvas", { width: 52, height: 32, "aria-hidden": "true" });
      const pen = sample.getContext("2d");
      pen.scale(2, 2);
      this.polygon(pen, style, [[[3, 3], [23, 3], [23, 13], [3, 13]]], (x, y) => [x, y]);
      return h("li", {}, sample, `${style.title} ${number(this.features.filter((each) => each.kind === kind).length)}`);
    });
    this.parts.legend.replaceChildren(...items);
  }

  // Choose a view in which all footprints that are shown fit.
  fit() {
    const corners = this.shown().flatMap((each) => each.rings.flat());
    if (!corners.length) {
      this.view = { ...WORLD };
      return;
    }
    const [west, south, east, north] = corners.reduce(([w, s, e, n], [x, y]) => [Math.min(w, x), Math.min(s, y), Math.max(e, x), Math.max(n, y)], [999, 999, -999, -999]);
    const width = this.canvas.clientWidth || 1;
    const height = this.canvas.clientHeight || 1;
    const scale = 0.8 * Math.min(width / Math.max(2, east - west), height / Math.max(2, north - south));
    this.view = { x: (west + east) / 2, y: (south + north) / 2, scale };
  }

  scale() {
    const least = Math.max(0.5, this.canvas.clientWidth / 360);
    this.view.scale = Math.min(400, Math.max(least, this.view.scale));
    return this.view.scale;
  }

  project() {
    const scale = this.scale();
    const { x: x0, y: y0 } = this.view;
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    return (x, y) => [width / 2 + (x - x0) * scale, height / 2 - (y - y0) * scale];
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const at = this.project();
    this.colours = colours();
    pen.fillStyle = this.colours["--land"];
    for (const shift of [-360, 0, 360]) this.drawLand(pen, (x, y) => at(x + shift, y), width, height);
    const order = ["waiting", "disk", "transfer", "failed"];
    const shown = this.shown().toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    for (const each of shown) for (const shift of [-360, 0, 360]) this.polygon(pen, KINDS[each.kind], each.rings, (x, y) => at(x + shift, y), width);
  }

  drawLand(pen, at, width, height) {
    const [left] = at(-181, 0);
    const [right] = at(181, 0);
    if (right < 0 || left > width) return;
    pen.beginPath();
    for (const polygon of this.land) {
      for (const ring of polygon) {
        const points = ring.map(([x, y]) => at(x, y));
        if (points.every(([x]) => x < 0) || points.every(([x]) => x > width) || points.every(([, y]) => y < 0) || points.every(([, y]) => y > height)) continue;
        points.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
        pen.closePath();
      }
    }
    pen.fill("evenodd");
  }

  polygon(pen, style, shells, at, width = Infinity) {
    const colour = this.colours[style.colour];
    for (const ring of shells) {
      const points = ring.map(([x, y]) => at(x, y));
      if (points.every(([x]) => x < 0) || points.every(([x]) => x > width)) continue;
      pen.beginPath();
      points.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath();
      pen.globalAlpha = style.fill;
      pen.fillStyle = colour;
      pen.fill();
      pen.globalAlpha = 1;
      pen.strokeStyle = colour;
      pen.lineWidth = style.width;
      pen.setLineDash(style.dash);
      pen.stroke();
    }
  }

  move(dx, dy) {
    const scale = this.scale();
    this.view.x -= dx / scale;
    this.view.y = Math.max(-90, Math.min(90, this.view.y + dy / scale));
    if (Math.abs(this.view.x) > 180) this.view.x -= 360 * Math.sign(this.view.x);
    this.draw();
  }

  zoom(factor, px = this.canvas.clientWidth / 2, py = this.canvas.clientHeight / 2) {
    const before = this.scale();
    this.view.scale = before * factor;
    const after = this.scale();
    const dx = px - this.canvas.clientWidth / 2;
    const dy = py - this.canvas.clientHeight / 2;
    this.view.x += dx / before - dx / after;
    this.view.y -= dy / before - dy / after;
    this.draw();
  }

  // Say which footprints are under a point of the canvas.
  pointAt(px, py) {
    const scale = this.scale();
    const x = this.view.x + (px - this.canvas.clientWidth / 2) / scale;
    const y = this.view.y - (py - this.canvas.clientHeight / 2) / scale;
    const found = this.shown().filter((each) => each.rings.some((ring) => [-360, 0, 360].some((shift) => inside(ring, x + shift, y))));
    const names = found.slice(0, NAMES_SHOWN).map((each) => `${each.name} (${each.state})`);
    const more = found.length > NAMES_SHOWN ? `, and ${number(found.length - NAMES_SHOWN)} more` : "";
    this.parts.point.textContent = names.join(", ") + more;
  }

  listen() {
    const { parts, canvas } = this;
    parts.listing.addEventListener("change", () => this.choose(parts.listing.value));
    parts.states.addEventListener("change", () => this.draw());
    parts.zoomIn.addEventListener("click", () => this.zoom(1.6));
    parts.zoomOut.addEventListener("click", () => this.zoom(1 / 1.6));
    parts.all.addEventListener("click", () => {
      this.fit();
      this.draw();
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return; // the page scrolls
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
  }

  key(event) {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) this.move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.6);
    else if (event.key === "-") this.zoom(1 / 1.6);
    else return;
    event.preventDefault();
    this.pointAt(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
  }

  drag(event) {
    const now = [event.offsetX, event.offsetY];
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.pointAt(...now);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    if (others.length) {
      const [other] = others;
      const distance = ([x, y]) => Math.hypot(x - other[0], y - other[1]) || 1;
      this.zoom(distance(now) / distance(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      this.move(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(event.pointerId, now);
    this.pointAt(...now);
  }
}

// Reads the API again and again, and draws what has changed. What was read last stays visible, with its age.

import * as blocks from "./blocks.js";
import { byDay, byHour, chart } from "./charts.js";
import { setUpControls } from "./controls.js";
import { draw } from "./dom.js";
import { number, span } from "./format.js";
import { FootprintMap } from "./map.js";

const STATUS_MS = 2000;
const FAILURES_MS = 10000;
const TRAFFIC_MS = 60000;

const $ = (id) => document.getElementById(id);
const block = (id) => document.querySelector(`#${id} .block`);
const tags = new Map();
const kept = new Map();

let status = null;
let receivedAt = 0;
let problem = "";
let news = "";
let pages = [null]; // where the pages of failures begin, the one that is shown last

// Return a document, the one of the last time if it has not changed (ETag).
async function read(path) {
  const headers = tags.has(path) ? { "If-None-Match": tags.get(path) } : {};
  const response = await fetch(`api/v1/${path}`, { headers, cache: "no-store", signal: AbortSignal.timeout(20000) });
  if (response.status === 304) return kept.get(path);
  const document = await response.json();
  if (!response.ok) throw new Error(document.error?.message ?? `status ${response.status}`);
  tags.set(path, response.headers.get("ETag"));
  kept.set(path, document);
  return document;
}

const map = new FootprintMap($("map-canvas"), {
  listing: $("map-listing"),
  states: $("map-states"),
  text: $("map-text"),
  legend: $("map-legend"),
  point: $("map-point"),
  zoomIn: $("zoom-in"),
  zoomOut: $("zoom-out"),
  all: $("zoom-all"),
}, read);

function showOnMap(id) {
  map.choose(id);
  $("map").scrollIntoView();
  $("map-canvas").focus({ preventScroll: true });
}

function tell(text) {
  if (text !== news) $("news").textContent = news = text; // a screen reader reads only what is new
}

function drawStatus() {
  const at = { at: status.at };
  $("place").textContent = status.state_dir;
  document.title = `${status.alarms.length ? `(${number(status.alarms.length)}) ` : ""}cdsed`;
  draw($("daemon"), status.daemon && { ...status, accounts: [], listings: [] }, () => blocks.daemon(status));
  draw($("totals"), status, blocks.totals);
  draw(block("alarms"), { ...at, alarms: status.alarms, crashing: status.crashing, why_idle: status.why_idle, quota_wait: status.quota_wait, needs_account: status.needs_account, open_breakers: status.open_breakers, notices: status.notices }, blocks.alarms);
  draw(block("listings"), { ...at, listings: status.listings, pauses: status.pauses }, (values) => blocks.listings(values, showOnMap));
  draw(block("transfers"), { ...at, transfers: status.transfers }, blocks.transfers);
  draw(block("accounts"), { ...at, accounts: status.accounts, daemon: status.daemon, pauses: status.pauses, drains: status.drains }, blocks.accounts);
  $("machines").hidden = !status.machines.length;
  draw(block("machines"), { ...at, machines: status.machines }, blocks.machines);
  draw(block("disks"), { disks: status.disks }, blocks.disks);
  draw(block("pauses"), { ...at, pauses: status.pauses, drains: status.drains, bandwidth_limits: status.bandwidth_limits }, blocks.pauses);
  map.offer(status.listings);
  controls.offer(status);
}

function drawAge() {
  const age = status ? `As of ${new Date(status.at).toLocaleTimeString("en-GB")}, read ${span((Date.now() - receivedAt) / 1000)} ago.` : "";
  $("age").textContent = problem ? `${age} ${problem}` : age;
}

async function readStatus() {
  try {
    status = await read("status");
    receivedAt = Date.now();
    problem = "";
    drawStatus();
    const alarms = status.alarms.filter((alarm) => !alarm.name.startsWith("daemon_")).map((alarm) => alarm.text).join(". ");
    const ends = { running: "", stopped: "The daemon is stopped. ", died: "The daemon died. ", "never started": "The daemon has never run. " };
    tell(`${ends[status.daemon.state]}${alarms}`);
  } catch (error) {
    problem = `It cannot be read now: ${error.message}.`;
    tell("The status cannot be read now. What you see is older.");
    if (!status) $("daemon").textContent = problem;
  }
  drawAge();
}

async function readFailures() {
  const before = pages[pages.length - 1];
  const page = await read(`failures?limit=10${before ? `&before=${encodeURIComponent(before)}` : ""}`);
  draw($("failure-codes"), page.by_code, () => blocks.failureCodes(page));
  draw($("failure-list"), page, blocks.failures);
  $("newest").disabled = pages.length === 1;
  $("older").disabled = !page.next;
  $("older").dataset.next = page.next ?? "";
}

async function readTraffic() {
  const [day, month] = await Promise.all([read("traffic?hours=24"), read("traffic?hours=720")]);
  chart($("day"), $("day-text"), $("day-table"), "Last 24 hours", byHour(day), 3600);
  chart($("month"), $("month-text"), $("month-table"), "Last 30 days", byDay(month), 86400);
}

// A hidden page asks for nothing; when it is shown again, everything is read at once.
function every(ms, task) {
  let timer = null;
  const run = async () => {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        await task();
      } catch (error) {
        problem = `A part cannot be read now: ${error.message}.`;
      }
    }
    timer = setTimeout(run, ms);
  };
  document.addEventListener("visibilitychange", () => document.hidden || run());
  run();
  return run;
}

const controls = setUpControls({ pause: $("pause"), resume: $("resume"), bar: $("controls"), dialog: $("token-dialog"), token: $("token"), tell: (text) => { $("result").textContent = text; }, changed: () => refresh() });
const refresh = every(STATUS_MS, readStatus);
const refreshFailures = every(FAILURES_MS, readFailures);
every(TRAFFIC_MS, readTraffic);
setInterval(drawAge, 1000);

$("older").addEventListener("click", () => {
  pages.push($("older").dataset.next);
  refreshFailures();
});
$("newest").addEventListener("click", () => {
  pages = [null];
  refreshFailures();
});

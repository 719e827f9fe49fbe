// The blocks of the page, in the order of `cdsed status`. Each takes a part of the status and returns elements.

import { bar, h, prose, quiet, table, time } from "./dom.js";
import { ago, clock, number, percent, plural, rate, size, span } from "./format.js";

const START = "Start it with `systemctl start cdsed` or `cdsed run`.";
const MARKS = { busy: "●", free: "○", resting: "◌", withheld: "–", waiting: "◔" };
export const ON_DISK = ["done", "already_present"];
export const FAILED = ["unavailable", "corrupt", "failed", "cancelled"];

export function daemon(status) {
  const { state, pid, started_at: started, stopped_at: stopped, version, last_heard_at: heard } = status.daemon;
  const now = Date.parse(status.at);
  const say = (kind, mark, text) => [h("span", { class: kind, "aria-hidden": "true" }, `${mark} `), ...prose(text)];
  if (state === "running" && !started) return say("good", "●", "The daemon has only just started.");
  if (state === "running" && status.stalled_for_s) {
    return say("warn", "▲", `The daemon runs, but no byte has arrived for ${span(status.stalled_for_s)}.`);
  }
  if (state === "running") return say("good", "●", `Running for ${span((now - Date.parse(started)) / 1000)}, pid ${pid}, cdsed ${version}`);
  if (state === "stopped") return say("warn", "○", `The daemon is stopped${stopped ? `; it ended ${ago(stopped, now)}` : ""}. ${START}`);
  if (state === "died") return say("bad", "✕", `The daemon died${heard ? `; it was last heard of ${ago(heard, now)}` : ""}. Look into its log. ${START}`);
  if (status.ran_before) return say("bad", "✕", `The state is gone. To have it made again from what is left of it: ${START}`);
  return say("warn", "○", `No state exists yet: has the daemon ever run? ${START}`);
}

export function totals(status) {
  const finished = (tallies, names) => names.reduce((sum, name) => sum + (tallies[name]?.products ?? 0), 0);
  const all = Object.values(status.products).reduce((sum, tally) => sum + tally.products, 0);
  const ended = finished(status.products, FAILED);
  const failed = ended - finished(status.products, ["cancelled"]);
  const done = finished(status.products, ON_DISK);
  const marks = status.accounts.flatMap((account) => account.sessions);
  const busy = marks.filter((mark) => mark === "busy").length;
  const items = [
    ["Rate", rate(status.rate_bytes_per_s || status.rates_bytes_per_s?.over_1_min || 0)],
    ["Sessions at work", `${busy} of ${marks.length}`],
    ["On disk", number(done)],
    ["To go", number(all - done - ended)],
    ["Failed", number(failed), failed ? "bad" : ""],
  ];
  if (all - done - ended) {
    const [when, why] = readiness(status.eta, Date.parse(status.at));
    items.push(["All ready", when || "not known", "", why]);
  }
  if (status.last_published) items.push(["Last published", ago(status.last_published.at, Date.parse(status.at))]);
  return items.map(([title, value, kind, more]) => h("div", {}, h("dt", {}, title), h("dd", { class: kind || null }, value, more ? h("small", {}, more) : null)));
}

// Return when work is ready, and why then.
function readiness(found, now) {
  if (!found) return ["", ""];
  const at = new Date(now + 1000 * found.seconds);
  const limits = { requests: "by the requests per minute", volume: "by the 30-day volume", pause: "because of a pause" };
  const why = limits[found.limit] ?? "";
  const when = clock(at, new Date(now));
  if (found.lower_bound) return [`not before ${when}`, why];
  return [`in ${span(found.seconds)}`, why ? `${when}, ${why}` : when];
}

export function alarms(status) {
  const now = Date.parse(status.at);
  const items = status.alarms.map((alarm) =>
    h("li", { class: alarm.severity }, h("p", {}, h("strong", {}, `${alarm.severity === "critical" ? "Critical" : "Warning"}: `), prose(alarm.text)), h("p", {}, "What to do: ", prose(alarm.remedy))),
  );
  const known = new Set(status.alarms.map((alarm) => alarm.subject));
  for (const worker of status.crashing.filter((each) => !known.has(each.name))) {
    items.push(h("li", { class: "critical" }, h("p", {}, h("strong", {}, "Critical: "), `${worker.name} crashes in a loop: ${worker.crashes} times, it ${worker.ending} last.`), h("p", {}, "What to do: look into the log of the daemon.")));
  }
  const calm = [];
  if (status.why_idle) calm.push(h("p", {}, `${status.quota_wait && !status.needs_account ? "Waiting" : "Nothing moves"}: `, prose(status.why_idle)));
  for (const each of status.open_breakers) {
    calm.push(h("p", {}, `${each.name === "disk:unknown" ? "every spool" : each.name} backs off: ${each.reason}; tried again in ${span(each.probe_in_s)}`));
  }
  for (const notice of status.notices) calm.push(h("p", {}, `${ago(notice.since_at, now)}: `, prose(notice.text)));
  return [items.length ? h("ul", { class: "plain alarms" }, items) : h("p", {}, h("span", { class: "good", "aria-hidden": "true" }, "✓ "), "Nothing needs you."), ...calm];
}

export function listings(status, show) {
  if (!status.listings.length) return quiet(prose("No listing yet. Add one with `cdsed add FILE`, or drop it into the inbox."));
  const now = Date.parse(status.at);
  const rows = status.listings.map((each) => {
    const share = each.products ? each.finished / each.products : 0;
    const text = each.state === "taking" ? `being taken, ${plural(each.lines, "line")} so far` : `${number(each.finished)} of ${number(each.products)}`;
    const paused = status.pauses.some((pause) => pause.kind === "all" || (pause.kind === "group" && pause.name === each.group) || (pause.kind === "listing" && [String(each.id), each.name].includes(pause.name)));
    const open = each.state === "open" || each.state === "taking";
    return [
      each.name,
      each.products ? [bar(share, `${percent(share)} finished`, share === 1 ? "good" : ""), text] : text,
      each.failed_products ? h("span", { class: "bad" }, `✕ ${number(each.failed_products)}`) : "0",
      each.group,
      String(each.priority),
      open ? (paused ? "paused" : readiness(each.eta, now).filter(Boolean).join(", ")) : each.state,
      each.products ? h("button", { type: "button", class: "link", "data-key": `map-${each.id}`, "aria-label": `Show ${each.name} on the map`, onclick: () => show(each.id) }, "Map") : "",
    ];
  });
  return table("Listings, with what is done of each", [["Listing", "name"], ["Done", "gauge"], ["Failed", "right"], ["Group", ""], ["Priority", "right"], ["Ready", ""], ["Map", ""]], rows);
}

export function transfers(status) {
  if (!status.transfers.length) return quiet("Nothing is in transfer.");
  const now = Date.parse(status.at);
  const rows = status.transfers.map((each) => {
    const share = each.size_bytes ? each.done_bytes / each.size_bytes : 0;
    return [
      each.safename,
      [bar(share, `${percent(share)} done`), `${percent(share)} of ${size(each.size_bytes)}`],
      each.rate_bytes_per_s === null ? "begins" : rate(each.rate_bytes_per_s),
      `${each.accounts.join(", ")}${each.sessions > 1 ? ` ×${each.sessions}` : ""}`,
      span((now - Date.parse(each.since_at)) / 1000),
    ];
  });
  return table("Products in transfer, the oldest first", [["Product", "name product"], ["Done", "gauge"], ["Rate", "right nowrap"], ["Account", ""], ["Since", "right nowrap"]], rows);
}

export function accounts(status) {
  if (!status.accounts.length) return quiet("No account yet.");
  const running = status.daemon.state === "running";
  const rows = status.accounts.map((each) => [
    `${each.group}/${each.name}`,
    sessions(each, running),
    gauge(each.requests_last_minute, each.requests_per_minute, number(each.requests_last_minute), number(each.requests_per_minute)),
    gauge(each.volume_used_bytes, each.volume_bytes, size(each.volume_used_bytes), size(each.volume_bytes)),
    condition(each, status, Date.parse(status.at), running),
  ]);
  const legend = Object.entries(MARKS).map(([name, mark]) => h("li", {}, h("span", { "aria-hidden": "true" }, mark), name));
  legend.push(h("li", {}, h("span", { class: "bad", "aria-hidden": "true" }, "✕"), "out of use"));
  return [
    table("Accounts, their sessions and quotas", [["Account", "name"], ["Sessions", ""], ["Requests this minute", "gauge"], ["Volume of 30 days", "gauge"], ["State", ""]], rows),
    h("ul", { class: "legend quiet", "aria-label": "Marks of sessions" }, legend),
  ];
}

function sessions(account, running) {
  const out = (mark) => !running || (account.error && mark !== "busy");
  const counts = {};
  for (const mark of account.sessions) {
    const name = out(mark) ? "out of use" : mark;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  const label = Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", ") || "none";
  const marks = account.sessions.map((mark) => h("span", { class: out(mark) ? "bad" : mark === "busy" ? "good" : null }, out(mark) ? "✕" : MARKS[mark] ?? "·"));
  return h("span", { class: "marks", role: "img", "aria-label": `Sessions: ${label}` }, marks);
}

function gauge(used, limit, usedText, limitText) {
  const share = limit ? used / limit : 0;
  return [bar(share, `${percent(share)} used`, share >= 0.95 ? "full" : ""), `${usedText} of ${limitText}`];
}

function held(account, status) {
  const holds = (each) => each.kind === "all" || (each.kind === "group" && each.name === account.group) || (each.kind === "account" && each.name === account.name);
  if (status.pauses.some(holds)) return "paused";
  return status.drains.some((each) => !each.account || each.account === account.name) ? "draining" : "ok";
}

function condition(account, status, now, running) {
  if (account.error) {
    const then = running && account.probe_in_s !== null ? `; tried again ${account.probe_in_s ? `in ${span(account.probe_in_s)}` : "with the next product"}` : "";
    return [h("strong", { class: "bad" }, "✕ cannot be used: "), ...prose(account.error), then];
  }
  const parts = [];
  if (account.wait) {
    const reasons = { connections: "all its connections are in use", requests: "its requests of this minute are used up", volume: "its 30-day volume is spent", bandwidth: "it runs at the bandwidth of the accounts file", penalty: "the service has asked for less" };
    const until = account.wait.limit === "volume" && account.quota_free_at ? account.quota_free_at.at : account.wait.until_at;
    const left = until ? (Date.parse(until) - now) / 1000 : null;
    parts.push(`${reasons[account.wait.limit] ?? account.wait.limit}${left === null ? "" : left < 600 ? `, continues in ${span(left)}` : `, continues ${clock(new Date(until), new Date(now))}`}`);
  }
  if (account.throttle_reason) parts.push(`${account.throttle_reason}: ${account.sessions_usable} of ${account.sessions.length} sessions`);
  if (account.key_expires_at) {
    const days = (Date.parse(account.key_expires_at) - now) / 86400000;
    if (days < 14) parts.push(`its S3 key expires in ${span(86400 * days)}`);
  }
  return parts.join("; ") || held(account, status);
}

export function machines(status) {
  const now = Date.parse(status.at);
  const reasons = { holder_died: "a process died", no_answer: "a process did not answer", silent: "nothing was heard", head_died: "the daemon's download process died" };
  const rows = status.machines.map((each) => [
    each.name,
    number(each.workers),
    `${each.at_work} of ${each.at_work + each.idle}`,
    rate(each.rate_bytes_per_s),
    [each.worker_sees_s, each.daemon_sees_s].filter((seconds) => seconds !== null).map((seconds) => `${seconds.toFixed(1)} s`).join(", "),
    each.lost.map((lost) => `${number(lost.grants)} because ${reasons[lost.why] ?? lost.why}, the last ${ago(lost.last_at, now)}`).join("; "),
    machineState(each, now),
  ]);
  return table("Machines with workers of Dask, and their connections", [["Machine", "name"], ["Workers", "right"], ["Connections", "nowrap"], ["Rate", "right nowrap"], ["Files seen after", "nowrap"], ["Lost connections", ""], ["State", ""]], rows);
}

function machineState(machine, now) {
  if (machine.drain_at) return machine.drained_at ? "drained" : "draining";
  if (machine.refused) return h("span", { class: "bad" }, `✕ ${machine.refused}`);
  if (!machine.workers) return `no worker; heard ${ago(machine.heard_at, now)}`;
  if (machine.worker_sees_s === null && !machine.at_work) return "being checked";
  return machine.kept_until_at ? `ok; ${plural(machine.kept_sessions, "session")} not used until ${clock(new Date(machine.kept_until_at), new Date(now))}` : "ok";
}

export function disks(status) {
  if (!status.disks.length) return quiet("No disk is in use yet.");
  const rows = status.disks.map((each) => [each.place, each.free_bytes === null ? "unknown" : size(each.free_bytes), each.error ? h("span", { class: "bad" }, `✕ ${each.error}`) : "ok"]);
  return table("Directories that products are written to", [["Directory", "name"], ["Free", "right nowrap"], ["State", ""]], rows);
}

export function pauses(status) {
  const now = new Date(Date.parse(status.at));
  const end = (each) => (each.until_at ? time(each.until_at, `until ${clock(new Date(each.until_at), now)}`) : "until you resume it");
  const paused = status.pauses.map((each) =>
    h("li", {}, h("strong", {}, each.kind === "all" ? "All transfers are paused" : `The ${each.kind} ${each.name} is paused`), ", ", end(each), each.source === "window" ? ", by a time window of the settings" : `, for ${span((now - Date.parse(each.since_at)) / 1000)}`),
  );
  const drains = status.drains.map((each) =>
    h("li", {}, h("strong", {}, each.account ? `Account ${each.account}` : "The daemon"), each.done_at ? " is drained" : " begins no new product, and finishes those in transfer", ", until you resume it"),
  );
  const limits = status.bandwidth_limits.map((each) =>
    h("li", {}, `${each.kind === "machine" ? "The machine" : `${each.kind} ${each.name}`} may use ${rate(each.bytes_per_s)}`, each.until_at ? [", ", end(each)] : ""),
  );
  return paused.length + drains.length + limits.length ? h("ul", { class: "plain" }, paused, drains, limits) : quiet("Nothing is paused, and no bandwidth is limited.");
}

export function failureCodes(page) {
  if (!page.by_code.length) return null;
  const rows = page.by_code.map((each) => [number(each.products), each.state, each.code, each.next_in_s === null ? "" : `in ${span(each.next_in_s)}`]);
  return table("Errors of the last 24 hours, by code", [["Products", "right"], ["State", ""], ["Error", ""], ["Next try", "nowrap"]], rows, "fit");
}

export function failures(page) {
  if (!page.failures.length) return quiet("No product has failed.");
  const now = Date.parse(page.at);
  const rows = page.failures.map((each) => [
    each.safename,
    FAILED.includes(each.state) ? h("span", { class: "bad" }, `✕ ${each.state}`) : each.state,
    `${each.code}: ${each.cause}`,
    each.next_try_in_s === null ? time(each.changed_at, ago(each.changed_at, now)) : `next try in ${span(each.next_try_in_s)}`,
  ]);
  return table("Products that failed or wait after a failure, the newest first", [["Product", "name product"], ["State", "nowrap"], ["Reason", ""], ["When", "nowrap"]], rows);
}

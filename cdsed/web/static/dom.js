// Elements from values. Only text nodes are made of what the state holds, never HTML.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Text with commands between backquotes, which are shown as code.
export function prose(text) {
  return text.split("`").map((part, n) => (n % 2 ? h("code", {}, part) : part));
}

export function time(iso, text) {
  return h("time", { datetime: iso, title: iso }, text);
}

export function bar(share, label, kind = "") {
  const full = Math.max(0, Math.min(1, share || 0));
  const inner = h("i");
  inner.style.width = `${100 * full}%`;
  return h("span", { class: `bar ${kind}`, role: "img", "aria-label": label }, inner);
}

// Columns are [title, class]. On a phone each row becomes a card, so that the roles are named.
export function table(caption, columns, rows, kind = "") {
  const head = h("tr", { role: "row" }, columns.map(([title, kind]) => h("th", { role: "columnheader", scope: "col", class: kind }, title)));
  const body = rows.map((cells) =>
    h("tr", { role: "row" }, cells.map((cell, n) => h("td", { role: "cell", class: columns[n][1], "data-label": columns[n][0] }, ...[cell].flat()))),
  );
  return h("table", { class: `cards ${kind}`, role: "table" }, h("caption", {}, caption), h("thead", { role: "rowgroup" }, head), h("tbody", { role: "rowgroup" }, body));
}

const drawn = new WeakMap();

// Replace the content of a block if its values have changed; the element in focus keeps the focus by its key.
export function draw(block, values, build) {
  const signature = JSON.stringify(values);
  if (drawn.get(block) === signature) return;
  drawn.set(block, signature);
  const key = block.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  block.replaceChildren(...[build(values)].flat().filter(Boolean));
  if (key) block.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

export function quiet(text) {
  return h("p", { class: "quiet" }, text);
}

// The cards: made once, then only what differs is set, by textContent and attributes alone.
const SVG = "http://www.w3.org/2000/svg";

function element(parent, name, className, space) {
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  made.setAttribute("class", className);
  return parent.appendChild(made);
}

function make(grid, name) {
  const card = element(grid, "article", "card");
  card.dataset.card = name;
  // Every line begins at the left edge, so that nothing moves when a number gets longer.
  const label = element(card, "h3", "label");
  const value = element(card, "p", "value");
  const detail = element(card, "p", "detail");
  const change = element(card, "p", "change");
  const chart = element(card, "svg", "spark", SVG);
  chart.setAttribute("viewBox", "0 0 100 28");
  chart.setAttribute("preserveAspectRatio", "none");
  chart.setAttribute("aria-hidden", "true");
  const line = element(chart, "path", "line", SVG);
  return { card, label, change, value, detail, line };
}

function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function draw(parts, data) {
  text(parts.label, data.label);
  text(parts.value, data.value);
  text(parts.detail, data.detail);
  text(parts.change, data.change || "\u00a0");
  parts.card.dataset.asOfSeq = data.seq;
  parts.change.dataset.tone = data.tone;
  parts.change.title = data.change ? "Against a minute ago" : "";
  parts.value.title = data.exact;
  parts.detail.title = data.detail;
  if (parts.line.getAttribute("d") !== data.spark) parts.line.setAttribute("d", data.spark);
}

export default function ({ data, parentElement }) {
  const grid = parentElement.querySelector(".cards");
  const made = (grid.telemetry ??= new Map());
  grid.dataset.stale = data.stale;
  for (const card of data.cards) {
    if (!made.has(card.name)) made.set(card.name, make(grid, card.name));
    draw(made.get(card.name), card);
  }
}

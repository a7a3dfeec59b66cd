// The table of symbols, of which only the rows on the screen are here. Rows are kept by symbol and cells changed only
// where they differ; the browser owns scroll, sort, search and pins, tells the page which rows it needs, and draws what
// comes. All data is text: it reaches the page by textContent and attributes alone.
// Each row lies at the top of the body and is moved to its place by a transform: rows that change places, or that come
// and go above, shift no layout. That takes them out of the table's own layout, so roles are said and widths are given.
const ROW = 32; // px; table.css says so too
const MARGIN = 15; // rows above and below the screen that are asked for too
const WAIT_MS = 120; // between two requests while somebody scrolls or types

function element(parent, name, className = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  return parent.appendChild(made);
}

function set(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function sign(number) {
  return number > 0 ? "up" : number < 0 ? "down" : "";
}

const DRAW = {
  name(td, [text]) {
    const link = td.firstChild ?? element(td, "a");
    set(link, text);
    const address = `symbol?symbol=${encodeURIComponent(text)}`;
    if (link.getAttribute("href") !== address) link.setAttribute("href", address);
  },
  tick(td, [text, , number]) {
    const before = td.dataset.number;
    if (td.textContent !== text && before && number !== null) td.dataset.tone = number >= Number(before) ? "up" : "down";
    td.dataset.number = number ?? "";
    set(td, text);
  },
  signed(td, [text, , number]) {
    td.dataset.tone = sign(number);
    set(td, text);
  },
  bar(td, [text, , number]) {
    const bar = td.querySelector(".bar") ?? element(td, "span", "bar");
    const fill = bar.firstChild ?? element(bar, "i");
    const words = td.querySelector(".words") ?? element(td, "span", "words");
    const width = Math.min(1, Math.abs(number ?? 0)) * 50;
    fill.style.width = `${width}%`;
    fill.style.left = `${number > 0 ? 50 : 50 - width}%`;
    td.dataset.tone = sign(number);
    set(words, text);
  },
  badge(td, [text]) {
    const badge = td.firstChild ?? element(td, "span", "badge");
    badge.dataset.state = text;
    set(badge, text);
  },
};

function drawCell(td, cell, column) {
  (DRAW[column.kind] ?? ((node, [text]) => set(node, text)))(td, cell);
  if (td.title !== cell[1]) td.title = cell[1];
}

function heads(parts, state) {
  const row = parts.table.tHead.rows[0];
  const { column: sorted, down } = state.view;
  state.columns.forEach((column, index) => {
    let th = row.cells[index + 1];
    if (!th) {
      th = element(row, "th");
      th.role = "columnheader";
      th.dataset.column = column.name;
      const button = element(th, "button");
      button.type = "button";
      button.dataset.column = column.name;
    }
    set(th.firstChild, column.title);
    th.title = column.help;
    th.ariaSort = column.name !== sorted ? "none" : down ? "descending" : "ascending";
  });
}

function newRow(state) {
  const tr = document.createElement("tr");
  tr.role = "row";
  const pin = element(tr, "td", "pin");
  pin.role = "cell";
  const star = element(pin, "button", "star");
  star.type = "button";
  set(star, "★");
  state.columns.forEach((column, at) => {
    const made = element(tr, at ? "td" : "th");
    made.role = at ? "cell" : "rowheader";
    made.dataset.column = column.name;
  });
  return tr;
}

function drawRow(tr, row, index, state) {
  const pinned = state.view.pins.includes(row.key);
  const [star] = tr.cells[0].children;
  star.ariaPressed = String(pinned);
  star.ariaLabel = `${pinned ? "Unpin" : "Pin"} ${row.key}`;
  tr.dataset.symbol = row.key;
  tr.dataset.pinned = pinned;
  tr.ariaRowIndex = index + 2; // the head is the first
  const place = `translateY(${index * ROW}px)`;
  if (tr.style.transform !== place) tr.style.transform = place;
  row.cells.forEach((cell, at) => drawCell(tr.cells[at + 1], cell, state.columns[at]));
}

function draw(parts, state) {
  heads(parts, state);
  const [body] = parts.table.tBodies;
  const wanted = new Set(state.rows.map((row) => row.key));
  for (const [key, tr] of state.drawn) {
    if (!wanted.has(key)) {
      tr.remove();
      state.drawn.delete(key);
    }
  }
  state.rows.forEach((row, at) => {
    let tr = state.drawn.get(row.key);
    if (!tr) state.drawn.set(row.key, (tr = newRow(state)));
    drawRow(tr, row, state.first + at, state);
    if (body.rows[at] !== tr) body.insertBefore(tr, body.rows[at] ?? null);
  });
  const height = `${state.total * ROW}px`;
  if (body.style.height !== height) body.style.height = height;
  parts.table.ariaRowCount = state.total + 1;
  set(parts.count, counted(state));
}

function counted(state) {
  const number = (value) => value.toLocaleString("en-US");
  if (!state.total) return "No symbol contains that";
  return state.view.find ? `${number(state.total)} of ${number(state.all)} symbols` : `${number(state.all)} symbols`;
}

function ask(parts, state, { always = false } = {}) {
  const first = Math.max(0, Math.floor(parts.frame.scrollTop / ROW) - MARGIN);
  const count = Math.ceil(parts.frame.clientHeight / ROW) + 2 * MARGIN;
  const shown = Math.floor(parts.frame.scrollTop / ROW);
  const last = Math.min(state.total, shown + Math.ceil(parts.frame.clientHeight / ROW));
  const missing = shown < state.first || last > state.first + state.rows.length;
  if (!always && !missing && Math.abs(first - state.view.first) < MARGIN - 3) return;
  state.view = { ...state.view, first, count };
  if (state.timer) return;
  const wait = Math.max(0, WAIT_MS - (performance.now() - (state.asked ?? -WAIT_MS)));
  state.timer = setTimeout(() => {
    state.timer = null;
    state.asked = performance.now();
    state.send(state.view);
  }, wait);
}

function change(parts, state, changed) {
  Object.assign(state.view, changed);
  heads(parts, state);
  ask(parts, state, { always: true });
}

function clicked(event, parts, state) {
  const head = event.target.closest("thead button");
  if (head) {
    const column = head.dataset.column;
    const down = column === state.view.column ? !state.view.down : column !== "symbol"; // names from A, figures from the largest
    return change(parts, state, { column, down });
  }
  const tr = event.target.closest("tr[data-symbol]");
  if (!tr) return;
  const symbol = tr.dataset.symbol;
  if (event.target.closest(".star")) {
    const pins = state.view.pins.filter((pin) => pin !== symbol);
    if (pins.length === state.view.pins.length) pins.push(symbol);
    return change(parts, state, { pins });
  }
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a link as any other
  event.preventDefault();
  // A state, not a trigger: a trigger that falls into a running update may be lost.
  state.view = { ...state.view, chosen: symbol, chosen_at: Date.now() };
  state.send(state.view);
}

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const parts = { frame: find(".frame"), table: find("table"), search: find("input"), count: find(".count") };
  const begins = !parts.table.telemetry;
  const state = (parts.table.telemetry ??= { drawn: new Map(), view: data.view });
  const { columns, rows, first, total, all } = data;
  Object.assign(state, { columns, rows, first, total, all });
  state.send = (view) => setStateValue("view", { ...view });
  parts.table.dataset.asOfSeq = data.as_of_seq;
  parts.table.dataset.stale = data.stale;
  if (begins) {
    parts.search.value = state.view.find;
    parts.table.addEventListener("click", (event) => clicked(event, parts, state));
    parts.frame.addEventListener("scroll", () => ask(parts, state), { passive: true });
    parts.search.addEventListener("input", () => {
      parts.frame.scrollTop = 0;
      change(parts, state, { find: parts.search.value });
    });
  }
  draw(parts, state);
  if (begins) ask(parts, state);
}

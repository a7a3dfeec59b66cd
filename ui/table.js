// The table of symbols. Rows are kept by symbol and cells changed only where their text differs, so scroll, sort order,
// selection and focus survive each update. All data is text: it reaches the page by textContent and attributes alone.
const NUMBERS = new Intl.Collator("en", { numeric: true });

function compare(a, b, sort) {
  const [x, y] = [a.cells[sort.column], b.cells[sort.column]];
  if (x[1] === null && y[1] === null) return NUMBERS.compare(x[0], y[0]) * sort.direction;
  if (x[1] === null || y[1] === null) return x[1] === null ? 1 : -1; // what is undefined comes last, either way
  return (x[1] - y[1]) * sort.direction;
}

function cell(td, [text, number, exact], column) {
  if (td.textContent !== text) {
    if (column.tone === "tick" && td.textContent !== "" && number !== null) {
      td.dataset.tone = number >= Number(td.dataset.number) ? "up" : "down";
    }
    td.textContent = text;
  }
  if (column.tone === "sign") td.dataset.tone = number > 0 ? "up" : number < 0 ? "down" : "";
  td.dataset.number = number ?? "";
  if (td.title !== exact) td.title = exact;
}

function heads(table, state) {
  const row = table.tHead.rows[0];
  state.columns.forEach((column, index) => {
    const th = row.cells[index] ?? row.appendChild(document.createElement("th"));
    if (!th.firstChild) {
      const button = th.appendChild(document.createElement("button"));
      button.type = "button";
      button.dataset.column = index;
    }
    th.scope = "col";
    th.firstChild.textContent = column.name;
    th.title = column.help;
    const sorted = state.sort && state.sort.column === index;
    th.ariaSort = sorted ? (state.sort.direction > 0 ? "ascending" : "descending") : "none";
  });
}

function draw(table, state) {
  heads(table, state);
  const body = table.tBodies[0];
  const rows = state.sort ? [...state.rows].sort((a, b) => compare(a, b, state.sort)) : state.rows;
  const wanted = new Set(rows.map((row) => row.key));
  for (const [key, tr] of state.drawn) {
    if (!wanted.has(key)) {
      tr.remove();
      state.drawn.delete(key);
    }
  }
  rows.forEach((row, index) => {
    let tr = state.drawn.get(row.key);
    if (!tr) {
      tr = document.createElement("tr");
      tr.tabIndex = 0;
      tr.dataset.symbol = row.key;
      state.columns.forEach((_, at) => tr.appendChild(document.createElement(at ? "td" : "th")).scope = at ? "" : "row");
      state.drawn.set(row.key, tr);
    }
    row.cells.forEach((value, at) => cell(tr.cells[at], value, state.columns[at]));
    tr.ariaSelected = String(row.key === state.selected);
    if (body.rows[index] !== tr) body.insertBefore(tr, body.rows[index] ?? null);
  });
}

function listen(table, state) {
  const choose = (target) => {
    const tr = target.closest("tbody tr");
    if (!tr) return;
    state.selected = tr.dataset.symbol;
    draw(table, state);
    state.choose(state.selected);
  };
  table.addEventListener("click", (event) => {
    const button = event.target.closest("thead button");
    if (!button) return choose(event.target);
    const column = Number(button.dataset.column);
    const first = column === 0 ? 1 : -1; // names from A, figures from the largest
    const turned = state.sort && state.sort.column === column ? -state.sort.direction : first;
    state.sort = { column, direction: turned };
    draw(table, state);
  });
  table.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.closest("tbody tr")) choose(event.target);
  });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector("table");
  const state = (table.telemetry ??= { drawn: new Map(), sort: null });
  const first = !state.columns;
  Object.assign(state, { columns: data.columns, rows: data.rows, selected: data.selected });
  state.choose = (symbol) => setTriggerValue("chosen", symbol);
  table.dataset.asOfSeq = data.as_of_seq;
  table.dataset.stale = data.stale;
  if (first) listen(table, state);
  draw(table, state);
}

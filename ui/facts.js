// The exact values of one symbol. All data is text: it reaches the page by textContent alone.
function set(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

export default function ({ data, parentElement }) {
  const table = parentElement.querySelector("table");
  const head = table.tHead.rows[0];
  ["", ...data.windows].forEach((window, at) => {
    const th = head.cells[at] ?? head.appendChild(document.createElement(at ? "th" : "td"));
    if (at) th.scope = "col";
    set(th, window);
  });
  data.facts.forEach(([label, values, part], index) => {
    const row = table.tBodies[0].rows[index] ?? table.tBodies[0].insertRow();
    if (!row.cells.length) row.appendChild(document.createElement("th")).scope = "row";
    row.dataset.part = part;
    set(row.cells[0], label);
    values.forEach((value, at) => set(row.cells[at + 1] ?? row.insertCell(), value));
  });
}

// A plain table. Filled in place; all data is text, set by textContent.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".listing");
  const [table, empty] = [root.querySelector("table"), root.querySelector("p")];
  root.setAttribute("aria-label", data.label);
  const put = (cell, text, numeric) => {
    if (cell.textContent !== text) cell.textContent = text;
    cell.dataset.numeric = numeric;
  };
  const heads = table.tHead.rows[0];
  data.columns.forEach((name, at) => {
    const th = heads.cells[at] ?? heads.appendChild(Object.assign(document.createElement("th"), { scope: "col" }));
    put(th, name, data.numeric.includes(name));
  });
  const body = table.tBodies[0];
  while (body.rows.length > data.rows.length) body.deleteRow(-1);
  data.rows.forEach((row, index) => {
    const tr = body.rows[index] ?? body.insertRow();
    row.cells.forEach((text, at) => put(tr.cells[at] ?? tr.insertCell(), text, data.numeric.includes(data.columns[at])));
    if (!data.deed) return;
    const td = tr.cells[row.cells.length] ?? tr.insertCell();
    const button = td.firstChild ?? td.appendChild(Object.assign(document.createElement("button"), { type: "button" }));
    if (button.textContent !== data.deed) button.textContent = data.deed;
    button.setAttribute("aria-label", `${data.deed} ${row.cells[0]}`);
    button.onclick = () => setTriggerValue("pressed", row.key);
  });
  table.hidden = !data.rows.length;
  empty.hidden = data.rows.length > 0;
  if (empty.textContent !== data.empty) empty.textContent = data.empty;
}

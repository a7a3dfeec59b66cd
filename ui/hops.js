// Cards of facts. Kept by place and changed only where a text differs; all data is text, set by textContent.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function pairs(list, wanted) {
  while (list.children.length > wanted.length) list.lastElementChild.remove();
  wanted.forEach(([name, value], at) => {
    let row = list.children[at];
    if (!row) {
      row = list.appendChild(document.createElement("div"));
      row.append(document.createElement("dt"), document.createElement("dd"));
    }
    put(row.children[0], name);
    put(row.children[1], value);
  });
  list.hidden = wanted.length === 0;
}

function card() {
  const made = document.createElement("section");
  made.setAttribute("role", "listitem");
  for (const [tag, part] of [["h3", "title"], ["p", "value"], ["dl", "facts"], ["dl", "troubles"]]) {
    const child = made.appendChild(document.createElement(tag));
    child.dataset.part = part;
    if (part === "value") child.append(document.createElement("b"), document.createElement("i"));
  }
  return made;
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".hops");
  root.setAttribute("aria-label", data.label);
  Object.assign(root.dataset, { flow: data.flow, stale: data.stale, asOfSeq: data.seq });
  while (root.children.length > data.cards.length) root.lastElementChild.remove();
  data.cards.forEach((of, at) => {
    const node = root.children[at] ?? root.appendChild(card());
    const [title, value, facts, troubles] = node.children;
    Object.assign(node.dataset, { tone: of.tone, name: of.key || of.title });
    put(title, of.title);
    put(value.children[0], of.value);
    put(value.children[1], of.unit);
    pairs(facts, of.facts);
    pairs(troubles, of.troubles);
  });
}

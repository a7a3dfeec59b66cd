// The head of a symbol's page. All data is text: it reaches the page by textContent and attributes alone.
function set(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function pair(list, index) {
  if (list.children[index]) return list.children[index];
  const made = list.appendChild(document.createElement("div"));
  made.append(document.createElement("dt"), document.createElement("dd"));
  return made;
}

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector);
  const [box, last, change, list, badge] = [".quote", ".last", ".change", "dl", ".badge"].map(find);
  set(find("h2"), data.symbol);
  const number = data.last[2];
  const before = box.telemetry;
  if (before && before.symbol === data.symbol && number !== null && number !== before.number) {
    last.dataset.tone = number > before.number ? "up" : "down";
  } else if (!before || before.symbol !== data.symbol) {
    last.dataset.tone = "";
  }
  box.telemetry = { symbol: data.symbol, number };
  set(last, data.last[0]);
  last.title = data.last[1];
  set(change, data.change[0]);
  change.title = data.change[1];
  change.dataset.tone = data.change[2] > 0 ? "up" : data.change[2] < 0 ? "down" : "";
  set(badge, data.state);
  badge.dataset.state = data.state;
  badge.hidden = !data.state;
  data.facts.forEach(([name, value], index) => {
    const [term, words] = pair(list, index).children;
    set(term, name);
    set(words, value);
  });
  while (list.children.length > data.facts.length) list.lastChild.remove();
  box.dataset.asOfSeq = data.as_of_seq;
  box.dataset.stale = data.stale;
}

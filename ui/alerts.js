// The list of alerts. Kept by id and changed only where a text differs; all data is text, set by textContent.
const ICONS = { critical: "■", warning: "▲", info: "●" };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(does, label) {
  const made = element("button", { type: "button", "data-does": does });
  made.textContent = label;
  return made;
}

function article(state) {
  const mute = element("select", { "data-does": "mute", "aria-label": "Mute" });
  const options = [["", "Mute…"], ...Object.entries(state.mutes).map(([label, seconds]) => [seconds, label])];
  mute.append(...options.map(([value, label]) => Object.assign(element("option"), { value, textContent: label })));
  return element(
    "article", {},
    element("header", {}, element("span", { "data-part": "label" }), element("h3", { "data-part": "key" }), element("span", { "data-part": "rule" })),
    element("p", { "data-part": "message" }),
    element("p", { "data-part": "state" }),
    element("div", { class: "deeds" }, button("trades", "Trades"), button("acknowledge", "Acknowledge"), mute),
  );
}

function text(node, part, words) {
  const found = node.querySelector(`[data-part="${part}"]`);
  if (found.textContent !== words) found.textContent = words;
}

function fill(node, item) {
  node.dataset.severity = item.severity;
  node.dataset.firing = item.firing;
  text(node, "label", `${ICONS[item.severity] ?? "●"} ${item.label}`);
  text(node, "key", item.key || item.rule);
  text(node, "rule", `${item.key_of ? `${item.key_of} · ` : ""}${item.rule}`);
  text(node, "message", item.message);
  text(node, "state", item.state);
  const [trades, acknowledge] = node.querySelectorAll("button");
  trades.hidden = !item.trades;
  trades.title = `Trades ${item.trades}`;
  acknowledge.hidden = item.acknowledged;
  trades.setAttribute("aria-label", `Trades behind ${item.rule} ${item.key}`);
  acknowledge.setAttribute("aria-label", `Acknowledge ${item.rule} ${item.key}`);
  node.querySelector("select").setAttribute("aria-label", `Mute ${item.rule} ${item.key}`);
}

function draw(root, state) {
  const list = root.querySelector(".list");
  const wanted = new Set(state.items.map((item) => item.id));
  for (const [id, node] of state.drawn) {
    if (!wanted.has(id)) {
      node.remove();
      state.drawn.delete(id);
    }
  }
  state.items.forEach((item, index) => {
    let node = state.drawn.get(item.id);
    if (!node) {
      node = article(state);
      node.dataset.id = item.id;
      state.drawn.set(item.id, node);
    }
    fill(node, item);
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  const empty = root.querySelector(".empty");
  empty.hidden = state.items.length > 0;
  if (empty.textContent !== state.empty) empty.textContent = state.empty;
}

// What is new since the page was opened is read out; what was there before is not.
function announce(root, state) {
  const firing = state.items.filter((item) => item.firing);
  const fresh = state.known && firing.filter((item) => !state.known.has(item.id));
  if (fresh?.length) {
    root.querySelector(".announce").textContent = fresh.map((item) => `${item.label}: ${item.message}`).join(" ");
  }
  state.known = new Set(firing.map((item) => item.id));
}

function listen(root, state) {
  const of = (target) => target.closest("article").dataset.id;
  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("button[data-does]");
    if (pressed) state.trigger("done", { does: pressed.dataset.does, id: of(pressed) });
    if (pressed?.dataset.does === "trades") root.closest('[data-testid="stMain"]')?.scrollTo({ top: 0 });
  });
  root.addEventListener("change", (event) => {
    const select = event.target.closest("select");
    if (!select?.value) return;
    state.trigger("done", { does: "mute", id: of(select), seconds: Number(select.value) });
    select.value = "";
  });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".alerts");
  const first = !root.telemetry;
  const state = (root.telemetry ??= { drawn: new Map() });
  Object.assign(state, data, { trigger: setTriggerValue });
  if (first) listen(root, state);
  root.dataset.stale = data.stale;
  draw(root, state);
  announce(root, state);
}

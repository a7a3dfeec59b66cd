// The ticket: what is typed stays in the page until it is sent, so no update can take it away. All data is text.
const FIELDS = ["symbol", "side", "quantity", "price", "account", "strategy", "venue", "currency"];

function values(form) {
  const given = new FormData(form);
  return Object.fromEntries(FIELDS.map((name) => [name, String(given.get(name) ?? "").trim()]));
}

function refuse(form, refused) {
  for (const name of FIELDS) {
    const line = form.querySelector(`[data-refused="${name}"]`);
    const words = refused[name] ?? "";
    if (line.textContent !== words) line.textContent = words;
    for (const input of form.querySelectorAll(`input[name="${name}"]`)) {
      if (words) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }
}

function complete(form, symbols) {
  const list = form.querySelector("datalist");
  // Not under the hand of somebody who is choosing.
  if (list.options.length > 0 && form.elements.symbol.matches(":focus")) return;
  const same = list.options.length === symbols.length && symbols.every((name, at) => list.options[at].value === name);
  if (same) return;
  list.replaceChildren(...symbols.map((name) => Object.assign(document.createElement("option"), { value: name })));
}

// Money of two currencies is never added: a trade takes the currency of the symbol's others, unless another is typed.
function suggest(form, state, currency) {
  const input = form.elements.currency;
  if (currency && (input.value === "" || input.value === state.suggested)) input.value = currency;
  state.suggested = currency;
}

function listen(form, state) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    state.trigger("sent", values(form));
  });
  form.elements.symbol.addEventListener("change", () => state.tell("symbol", form.elements.symbol.value.trim()));
  form.querySelector('[data-does="renew"]').addEventListener("click", () => {
    for (const name of ["quantity", "price"]) form.elements[name].value = "";
    form.elements.quantity.focus();
    state.trigger("renewed", true);
  });
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const form = parentElement.querySelector("form");
  const first = !form.telemetry;
  const state = (form.telemetry ??= {});
  Object.assign(state, { tell: setStateValue, trigger: setTriggerValue });
  if (first) {
    listen(form, state);
    // Back from another page: what was sent last stands there again.
    for (const [name, value] of Object.entries(data.before)) {
      if (name === "side") form.querySelector(`input[value="${value}"]`).checked = true;
      else form.elements[name].value = value;
    }
  }
  complete(form, data.symbols);
  if (data.currency !== state.suggested) suggest(form, state, data.currency);
  refuse(form, data.refused);
  form.querySelector('[data-does="renew"]').hidden = !data.answered;
}

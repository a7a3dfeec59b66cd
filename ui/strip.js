// The strip: it ticks by itself between two updates, so the clock runs and the age grows also when nothing comes.
// All data is text: it reaches the page by textContent and attributes alone.
const STALE_MS = 3000; // two missed updates of a page that is drawn each second
const DASH = "–";

function chip(strip, name, label, value, tone = "", title = "") {
  const box = strip.querySelector(`[data-chip="${name}"]`);
  const [head, text] = box.children;
  if (head.textContent !== label) head.textContent = label;
  if (text.textContent !== value) text.textContent = value;
  if (box.dataset.tone !== tone) box.dataset.tone = tone;
  if (box.title !== title) box.title = title;
}

function clock(state, zone) {
  const format = (state.formats[zone] ??= new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  }));
  return format.format(new Date(Date.now() + state.offset));
}

function age(ms) {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

function draw(strip, state) {
  const data = state.data;
  const zone = data.zone.split("/").pop().replaceAll("_", " ");
  chip(strip, "clock", zone, clock(state, data.zone));
  chip(strip, "utc", "UTC", clock(state, "UTC"));
  strip.querySelector('[data-chip="utc"]').hidden = /^(Etc\/)?UTC$/.test(data.zone); // once is enough
  const old = data.heard === null ? null : Date.now() + state.offset - data.heard;
  const stale = old !== null && old > STALE_MS;
  const seq = data.seq.toLocaleString("en-US");
  chip(strip, "age", "Data", old === null ? DASH : `${age(old)} old · seq ${seq}`, stale ? "warn" : "");
  const fine = data.gateway === "ready";
  const tone = fine ? "good" : data.gateway === "connecting" ? "warn" : "bad";
  chip(strip, "gateway", "Gateway", data.gateway, tone, data.reason);
  chip(strip, "workers", "Workers", String(data.workers ?? DASH), data.workers === 0 ? "bad" : "");
  chip(strip, "silent", "Silent", String(data.silent ?? DASH), data.silent > 0 ? "warn" : "", "Streams that are overdue");
  chip(strip, "alerts", "Alerts", String(data.alerts ?? DASH), data.alerts > 0 ? "bad" : "", "Open alerts");
  strip.dataset.asOfSeq = data.seq;
  document.title = `${data.alerts > 0 ? `(${data.alerts}) ` : ""}${data.title}`;
}

function listen(strip, state) {
  strip.addEventListener("click", (event) => {
    const to = event.target.closest("[data-to]")?.dataset.to;
    if (to) state.trigger("wanted", to);
  });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const strip = parentElement.querySelector(".strip");
  if (!strip.telemetry) listen(strip, (strip.telemetry = { formats: {} }));
  const state = strip.telemetry;
  state.trigger = setTriggerValue;
  Object.assign(state, { data, offset: data.now - Date.now() });
  strip.querySelector('[data-chip="alerts"]').setAttribute("aria-live", "polite");
  draw(strip, state);
  clearInterval(state.timer);
  state.timer = setInterval(() => draw(strip, state), 250);
  return () => clearInterval(state.timer);
}

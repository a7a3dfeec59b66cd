// The tape: the newest trades on top, from a WebSocket of this page's own to the gateway. All data is text: it reaches
// the page by textContent and attributes alone. Rows are filled in place, so nothing moves while figures arrive.
const OPEN_MS = 3000; // not open for so long: rows come with the page's one-second update until it is
const DRAW_MS = 200;
const ROWS = 50;
const LOOK_BACK = 2000; // trades read again when the tape opens, so that it does not begin empty
const LONGEST_WAIT_MS = 4000;
const SIDES = { buy: ["▲", "buy", "up"], sell: ["▼", "sell", "down"], unknown: ["•", "unknown", ""] };
const HEADS = {
  time: "Time", seq: "Seq", symbol: "Symbol", side: "Side", price: "Price", quantity: "Quantity",
  venue: "Venue", account: "Account", strategy: "Strategy", kind: "Kind", source: "Source",
};
const NUMBERS = ["price", "quantity", "seq"];

function number(text, decimals) {
  const [, sign, whole, rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [null, "", text];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return sign + grouped + (decimals ? `.${rest.padEnd(decimals, "0")}` : "");
}

const decimalsOf = (rows, name) => Math.max(0, ...rows.map((row) => (row[name].split(".")[1] ?? "").length));

class Tape {
  constructor(root) {
    Object.assign(this, { root, rows: [], wait: 250, seen: 0, gap: "", source: "", told: "stream" });
    this.onVisibility = () => (document.hidden ? this.pause() : this.connect());
    document.addEventListener("visibilitychange", this.onVisibility);
  }

  show(data, tell) {
    const name = JSON.stringify([data.url, data.symbols, data.filters, data.columns]);
    const other = name !== this.name;
    Object.assign(this, { data, tell, name });
    if (other) {
      this.rows = [];
      this.seen = 0;
      this.gap = "";
      this.heads();
      this.disconnect();
      this.connect();
    }
    if (!data.url) this.rows = data.rows;
    else if (this.source === "page") this.rows = data.rows.slice(0, ROWS);
    this.draw();
  }

  // --- the stream -----------------------------------------------------------------------------------------------

  connect() {
    if (!this.data.url || document.hidden || this.socket) return;
    this.patience ??= setTimeout(() => this.from("page"), OPEN_MS);
    const socket = (this.socket = new WebSocket(this.data.url));
    socket.onopen = () => socket.send(JSON.stringify({ subscribe: this.wanted() }));
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (document.hidden) return;
      this.patience ??= setTimeout(() => this.from("page"), OPEN_MS);
      this.retry = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(LONGEST_WAIT_MS, this.wait * 2);
    };
  }

  wanted() {
    const from = Math.max(1, this.seen + 1, this.data.newest - LOOK_BACK);
    return { id: "tape", topic: "trades", symbols: this.data.symbols, from_seq: from };
  }

  take(frame) {
    if (frame.type === "subscribed") {
      clearTimeout(this.patience);
      Object.assign(this, { patience: null, wait: 250 });
      this.from("stream");
    } else if (frame.type === "gap") {
      this.gap = `${(frame.data.last - frame.data.first + 1).toLocaleString("en-US")} trades came too fast to be shown`;
    } else if (frame.type === "error") {
      this.gap = frame.detail;
    } else if (Array.isArray(frame.data)) {
      const fresh = [];
      for (let at = frame.data.length - 1; at >= 0 && fresh.length < ROWS; at--) {
        if (this.matches(frame.data[at])) fresh.push(frame.data[at]);
      }
      if (frame.data.length) this.seen = Math.max(this.seen, frame.seq);
      this.rows = fresh.concat(this.rows).slice(0, ROWS);
    }
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.draw();
    }, DRAW_MS);
  }

  matches(row) {
    return Object.entries(this.data.filters).every(([name, wanted]) => !wanted.length || wanted.includes(row[name]));
  }

  from(source) {
    if (source === this.source) return;
    this.source = source;
    this.patience = null;
    if (source !== this.told) this.tell("source", (this.told = source)); // each telling draws the page again
    this.draw();
  }

  pause() {
    this.disconnect();
    this.draw();
  }

  disconnect() {
    clearTimeout(this.patience);
    clearTimeout(this.retry);
    const socket = this.socket;
    Object.assign(this, { socket: null, patience: null });
    socket?.close();
  }

  end() {
    this.disconnect();
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisibility);
  }

  // --- the table ------------------------------------------------------------------------------------------------

  heads() {
    const table = this.root.querySelector("table");
    table.tHead.rows[0].replaceChildren(...this.data.columns.map((name) => {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = HEADS[name];
      th.dataset.column = name;
      return th;
    }));
    table.tBodies[0].replaceChildren();
    table.setAttribute("aria-label", this.data.label);
  }

  state() {
    if (!this.data.url) return "";
    if (document.hidden) return "Paused while hidden";
    if (this.source === "page") return `From the one-second update: ${this.data.url} did not open within 3 s`;
    if (this.source === "stream" && !this.patience) return this.gap ? `Live · ${this.gap}` : "Live";
    return "Opening";
  }

  draw() {
    this.root.dataset.source = this.data.url ? this.source : "given";
    const line = this.root.querySelector("p");
    const state = this.rows.length ? this.state() : [this.state(), this.data.empty].filter(Boolean).join(" · ");
    if (line.textContent !== state) line.textContent = state;
    line.hidden = !state;
    const body = this.root.querySelector("tbody");
    while (body.rows.length > this.rows.length) body.deleteRow(-1);
    const decimals = { price: decimalsOf(this.rows, "price"), quantity: decimalsOf(this.rows, "quantity"), seq: 0 };
    this.rows.forEach((row, index) => {
      const tr = body.rows[index] ?? body.insertRow();
      tr.dataset.seq = row.seq;
      this.data.columns.forEach((name, at) => this.cell(tr.cells[at] ?? tr.insertCell(), name, row, decimals));
    });
  }

  cell(td, name, row, decimals) {
    let [text, tone, title] = [String(row[name] ?? ""), "", ""];
    if (name === "time") [text, title] = [this.clock(row.timestamp), row.timestamp];
    else if (name === "side") {
      const [arrow, word, colour] = SIDES[row.side] ?? SIDES.unknown;
      [text, tone] = [`${arrow} ${word}`, colour];
    } else if (NUMBERS.includes(name)) {
      text = number(text, decimals[name]);
      if (name === "price") tone = (SIDES[row.side] ?? SIDES.unknown)[2];
    } else title = text;
    if (td.textContent !== text) td.textContent = text;
    if (td.dataset.tone !== tone) td.dataset.tone = tone;
    if (td.title !== title) td.title = title;
    td.dataset.column = name;
  }

  clock(text) {
    this.format ??= new Intl.DateTimeFormat("en-GB", {
      timeZone: this.data.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
    });
    return this.format.format(new Date(text));
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".tape");
  const tape = (root.telemetry ??= new Tape(root));
  tape.show(data, setStateValue);
  return () => {
    tape.end();
    root.telemetry = null;
  };
}

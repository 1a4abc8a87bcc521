// Draws the widgets of mobility.serve.open_page outside of JupyterLab: talks to a kernel of this
// Jupyter server, stores their traits, and shows each in the part of the page named by its `place`.
const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
const at = (path) => `${config.baseUrl}${path}`;
const stateLine = document.getElementById("state");
const SETTLED_MS = 3000;
const client = crypto.randomUUID();
const models = new Map(); // by comm id
let socket = null;
let settled = false; // whether earlier widgets are shown

// Dark like the system; widgets read it as JupyterLab's theme.
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => { document.documentElement.dataset.jpThemeLight = String(!dark.matches); };
dark.addEventListener("change", applyTheme);
applyTheme();

const say = (text) => {
  stateLine.textContent = text;
  stateLine.hidden = !text;
};

async function post(path, body) {
  const cookie = document.cookie.match(/(?:^|; )_xsrf=([^;]+)/);
  const answer = await fetch(at(path), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-XSRFToken": cookie ? cookie[1] : "" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

// Messages are JSON, or with buffers: the number of parts, their offsets, and the parts

function send(kind, content, buffers = []) {
  const id = crypto.randomUUID();
  const message = {
    header: { msg_id: id, msg_type: kind, session: client, username: "", version: "5.3", date: new Date().toISOString() },
    parent_header: {}, metadata: {}, content, channel: "shell",
  };
  if (!buffers.length) {
    socket.send(JSON.stringify(message));
    return id;
  }
  const parts = [new TextEncoder().encode(JSON.stringify(message)), ...buffers.map((b) => new Uint8Array(b.buffer || b, b.byteOffset || 0, b.byteLength))];
  const head = new DataView(new ArrayBuffer(4 * (parts.length + 1)));
  head.setUint32(0, parts.length);
  let offset = head.byteLength;
  parts.forEach((part, k) => {
    head.setUint32(4 * (k + 1), offset);
    offset += part.byteLength;
  });
  socket.send(new Blob([head, ...parts]));
  return id;
}

function read(data) {
  if (typeof data === "string") return { ...JSON.parse(data), buffers: [] };
  const view = new DataView(data);
  const offsets = Array.from({ length: view.getUint32(0) }, (_, k) => view.getUint32(4 * (k + 1)));
  const parts = offsets.map((from, k) => new DataView(data, from, (offsets[k + 1] ?? data.byteLength) - from));
  return { ...JSON.parse(new TextDecoder().decode(parts[0])), buffers: parts.slice(1) };
}

// The model that is passed to a widget's module

class Model {
  constructor(id) {
    Object.assign(this, { id, state: {}, listeners: [], changed: new Set(), shownAt: null });
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    this.state[name] = value;
    this.changed.add(name);
    this.tell(`change:${name}`, value);
  }
  save_changes() {
    const state = Object.fromEntries([...this.changed].map((name) => [name, this.state[name]]));
    this.changed.clear();
    send("comm_msg", { comm_id: this.id, data: { method: "update", state, buffer_paths: [] } });
  }
  send(content, _callbacks, buffers = []) {
    send("comm_msg", { comm_id: this.id, data: { method: "custom", content } }, buffers);
  }
  on(names, act) {
    this.listeners.push({ names: names.split(" "), act });
  }
  off(names, act) {
    this.listeners = this.listeners.filter((one) => (names && !names.split(" ").some((name) => one.names.includes(name))) || (act && one.act !== act));
  }
  tell(name, ...what) {
    for (const { names, act } of [...this.listeners]) if (names.includes(name)) act(...what);
  }
  update(state) {
    Object.assign(this.state, state);
    for (const name of Object.keys(state)) this.tell(`change:${name}`, state[name]);
    if (this.shownAt) this.bringIntoView(...Object.keys(state));
    this.show();
  }
  /** Draw the widget in its place, once, and remove another widget from there. */
  async show() {
    const place = this.state.place && document.querySelector(`[data-place="${this.state.place}"]`);
    if (!place || this.shownAt === place || !this.state._esm) return;
    this.shownAt = place;
    for (const other of models.values()) if (other !== this && other.shownAt === place) other.leave();
    const code = URL.createObjectURL(new Blob([this.state._esm], { type: "text/javascript" }));
    const module = await import(code);
    URL.revokeObjectURL(code);
    if (this.shownAt !== place) return;
    const style = document.createElement("style");
    style.textContent = this.state._css || "";
    const el = document.createElement("div");
    place.replaceChildren(style, el);
    this.drop = await module.default.render({ model: this, el });
    this.bringIntoView("drawn");
  }
  /** Scroll new content into view, except when the page is loaded. */
  bringIntoView(...changed) {
    const news = { check: "checks", trial: "drawn", beside: "drawn", report: "shown" }[this.state.place];
    if (settled && changed.includes(news)) this.shownAt?.scrollIntoView({ behavior: "smooth", block: "start" });
  }
  leave() {
    this.drop?.();
    this.shownAt?.replaceChildren();
    this.shownAt = null;
  }
}

function receive(message) {
  const { msg_type: kind } = message.header;
  const { comm_id: id, data, target_name: target } = message.content;
  if (kind === "comm_open" && target === "jupyter.widget") {
    const model = new Model(id);
    models.set(id, model);
    model.update(data.state);
  } else if (kind === "comm_msg" && models.has(id)) {
    if (data.method === "update") models.get(id).update(data.state);
    else if (data.method === "custom") models.get(id).tell("msg:custom", data.content, message.buffers);
  } else if (kind === "comm_close" && models.has(id)) {
    models.get(id).leave();
    models.delete(id);
  } else if (kind === "comm_info_reply") {
    // Widgets that existed before this page was loaded.
    for (const commId of Object.keys(message.content.comms))
      if (!models.has(commId)) {
        models.set(commId, new Model(commId));
        send("comm_msg", { comm_id: commId, data: { method: "request_state" } });
      }
    say("");
    setTimeout(() => { settled = true; }, SETTLED_MS);
  } else if (kind === "error") {
    say(`The page cannot be shown: ${message.content.ename}: ${message.content.evalue}`);
  }
}

async function start() {
  say("Starting. This takes some seconds.");
  // The same kernel for every page, so that work continues when the page is reloaded.
  const { kernel } = await post("api/sessions", { path: "open", name: "open", type: "mobility", kernel: { name: "python3" } });
  const address = new URL(at(`api/kernels/${kernel.id}/channels`), location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("session_id", client);
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    const code = "from mobility.serve import open_page\nfront = open_page.show()";
    send("execute_request", { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false, stop_on_error: true });
    send("comm_info_request", { target_name: "jupyter.widget" });
  };
  socket.onmessage = ({ data }) => receive(read(data));
  socket.onclose = () => say("The connection is lost. If mobility has ended, start it again, then reload this page.");
}

start().catch((error) => say(`This page cannot start: ${error.message}. Reload it, or start mobility again.`));

import { ask, h } from "./common.js";

const REACH = 24; // pixels of the page from which a landmark is taken

/** Landmarks corrected by hand: points moved in the picture, bad frames, exchanged sides. */
export function pointEditor({ model, player, film }) {
  let rows = []; // {kind, start, end, landmark, u, v}
  let changed = false;
  let held = null; // index of the landmark that is being moved
  const spoken = (name) => (name || "all landmarks").replaceAll("_", " ");
  const move = h("button", { type: "button", "aria-pressed": "false", onclick: () => setMoving(!moving) }, "Move points in the picture");
  const which = h("select", { "aria-label": "Landmark" });
  const [start, end] = ["First moment", "Last moment"].map((label) =>
    h("input", { type: "number", step: 0.01, min: 0, "aria-label": `${label}, seconds` }));
  const here = (box) => h("button", { type: "button", class: "mobility-small", onclick: () => { box.value = player.time[player.frame].toFixed(2); } }, "here");
  const list = h("table", { class: "mobility-repetitions" });
  const save = h("button", { type: "button", class: "mobility-main", onclick: () => ask(model, "points", { rows }) }, "Save corrections");
  const drop = h("button", { type: "button", onclick: () => { load(); ask(model, "load"); } }, "Undo changes");
  const reset = h("button", { type: "button", onclick: () => ask(model, "points", { rows: null }) }, "Use what was detected");
  const details = h("details", { "aria-label": "Correct the skeleton", hidden: !model.get("can_correct") },
    h("summary", {}, "Correct the skeleton"),
    h("p", { class: "mobility-dim" }, "If a landmark is wrong in several frames, mark all of them as wrong. You can also move its point to the right place in some of these frames. If the skeleton lacks the point there, choose it in the list and press its place in the picture. When you save, the body is fitted again."),
    h("div", { class: "mobility-row" }, move),
    h("div", { class: "mobility-row" }, "From", start, here(start), "to", end, here(end), "s:", which,
      h("button", { type: "button", onclick: () => addStretch("bad") }, "is wrong"),
      h("button", { type: "button", onclick: () => addStretch("exchange") }, "Exchange left and right")),
    list,
    h("div", { class: "mobility-row" }, save, drop, reset));
  let moving = false;

  function setMoving(wanted) {
    moving = wanted;
    move.setAttribute("aria-pressed", String(moving));
    film.screen.style.cursor = moving ? "crosshair" : "";
    film.screen.style.touchAction = moving ? "none" : "";
    if (moving) player.setPlaying(false);
  }
  function load() {
    rows = model.get("points").map((row) => ({ ...row }));
    changed = false;
    show();
  }
  function add(row) {
    const same = (other) => row.kind === "point" && ["kind", "start", "landmark"].every((name) => other[name] === row[name]);
    rows = [...rows.filter((other) => !same(other)), row].sort((a, b) => a.start - b.start);
    changed = true;
    show();
  }
  function addStretch(kind) {
    const [from, to] = [start, end].map((box) => (box.value === "" ? NaN : Number(box.value)));
    if (!(from <= to)) {
      ask(model, "trouble", { text: "enter the first and the last moment in seconds; the last is not before the first" });
      return;
    }
    add({ kind, start: from, end: to, landmark: kind === "bad" ? which.value || null : null, u: null, v: null });
  }
  function show() {
    const busy = Boolean(model.get("progress").text);
    save.disabled = !changed || busy;
    drop.disabled = !changed;
    reset.disabled = busy || !model.get("points").length;
    list.hidden = !rows.length;
    list.replaceChildren(...rows.map((row) => {
      const when = row.kind === "point" ? `${row.start.toFixed(2)} s` : `${row.start.toFixed(2)} to ${row.end.toFixed(2)} s`;
      const what = { point: `${spoken(row.landmark)} moved`, bad: `${spoken(row.landmark)} wrong`, exchange: "left and right exchanged" }[row.kind];
      return h("tr", {},
        h("th", { scope: "row" }, h("button", { type: "button", class: "mobility-small", onclick: () => player.goTo(player.frameAt(row.start)) }, when)),
        h("td", {}, what),
        h("td", {}, h("button", { type: "button", "aria-label": `Remove: ${what}, ${when}`, onclick: () => { rows = rows.filter((other) => other !== row); changed = true; show(); } }, "Remove")));
    }));
  }
  /** The names of the landmarks, once they are known. */
  function build() {
    const chosen = which.value;
    which.replaceChildren(h("option", { value: "" }, spoken("")), ...player.trial.points.map((name) => h("option", { value: name }, spoken(name))));
    which.value = chosen;
    load();
  }

  /** Place of an event in the picture, in pixels of the video and of the page. */
  function placeOf(event) {
    const box = film.screen.getBoundingClientRect();
    const [wide, tall] = film.pictureSize();
    const inside = (value, most) => Math.max(0, Math.min(most - 1, value));
    return {
      u: inside(((event.clientX - box.left) / box.width) * wide, wide),
      v: inside(((event.clientY - box.top) / box.height) * tall, tall),
      scale: box.width / wide,
    };
  }
  const indexOf = (k) => (player.frame * player.trial.points.length + k) * 2;
  film.screen.addEventListener("pointerdown", (event) => {
    if (!moving || !player.trial) return;
    const { u, v, scale } = placeOf(event);
    const distances = player.trial.points.map((_, k) => Math.hypot(player.trial.image[indexOf(k)] - u, player.trial.image[indexOf(k) + 1] - v) * scale);
    // A landmark without a place is taken if it is chosen in the list.
    const chosen = player.trial.points.indexOf(which.value);
    const near = chosen >= 0 && !Number.isFinite(distances[chosen]) ? chosen : distances.reduce((best, value, k) => (value < (distances[best] ?? REACH) ? k : best), -1);
    if (near < 0) return;
    held = near;
    event.preventDefault();
    film.screen.setPointerCapture(event.pointerId);
    put(u, v);
  });
  function put(u, v) {
    player.trial.image.set([u, v], indexOf(held));
    player.trial.visible[indexOf(held) / 2] = 1;
    film.draw();
  }
  film.screen.addEventListener("pointermove", (event) => {
    if (held === null) return;
    const { u, v } = placeOf(event);
    put(u, v);
  });
  film.screen.addEventListener("pointerup", (event) => {
    if (held === null) return;
    const { u, v } = placeOf(event);
    const seconds = player.time[player.frame];
    add({ kind: "point", start: seconds, end: seconds, landmark: player.trial.points[held], u: Math.round(u * 10) / 10, v: Math.round(v * 10) / 10 });
    held = null;
  });
  film.screen.addEventListener("pointercancel", () => { held = null; });

  return { details, build, load, show };
}

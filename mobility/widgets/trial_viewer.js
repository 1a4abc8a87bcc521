import { ask, guarded, h, noticeLine, root, shown } from "./common.js";
import { filmedBody, fittedBody } from "./trial_body.js";
import { curvePanels, timeAxis } from "./trial_curves.js";
import { pointEditor } from "./trial_points.js";
import { Player } from "./trial_player.js";
import { repetitionEditor } from "./trial_repetitions.js";
import { stepMarks } from "./trial_steps.js";

/** Draws the trial, and draws it anew when another session is shown. */
function trialViewer({ model, el }) {
  let drop = drawTrial({ model, el });
  const redrawAll = () => {
    drop();
    el.querySelector(":scope > section").remove();
    drop = drawTrial({ model, el });
  };
  model.on("change:drawn", redrawAll);
  return () => {
    model.off("change:drawn", redrawAll);
    drop();
  };
}

function drawTrial({ model, el }) {
  const place = root(el, "trial", "Recording");
  place.tabIndex = -1; // keys work after a click anywhere in it
  const closing = new AbortController();
  const listeners = [];
  const listen = (names, act) => {
    listeners.push([names, act]);
    model.on(names, act);
  };
  const player = new Player(model, closing.signal, () => showFrame());
  const film = filmedBody(place, player);
  const body = fittedBody(player);
  const axis = timeAxis(player, () => { steps.show(); repetitions.show(); });
  const steps = stepMarks(player, axis);
  const curves = curvePanels({ model, place, player, axis, repetitions: () => repetitions.all(), showFrame: () => showFrame() });
  const repetitions = repetitionEditor({ model, player, axis, draw: curves.draw, drawCurves: curves.drawCurves });
  const points = pointEditor({ model, player, film });
  const readout = h("span", { class: "mobility-dim" });

  // Other people in the picture, who can be measured instead

  const people = h("div", { class: "mobility-row", role: "group", "aria-label": "Person to measure" });
  const point = h("button", { type: "button", "aria-pressed": "false", onclick: () => setPointing(!pointing) }, "Point at the right person");
  let pointing = false;
  function setPointing(wanted) {
    pointing = wanted;
    point.setAttribute("aria-pressed", String(pointing));
    film.screen.style.cursor = pointing ? "crosshair" : "";
    if (pointing) player.goTo(player.frameAt(Math.min(...model.get("others").map((other) => other.time))));
  }
  function showPeople() {
    const others = model.get("others");
    people.hidden = !others.length || !model.get("can_correct");
    people.replaceChildren(
      h("span", { class: "mobility-dim" }, "Not the right person?"), point,
      ...others.map(({ time: seen, point: [x, y] }) => h("button", {
        type: "button",
        onfocus: () => player.goTo(player.frameAt(seen)),
        onclick: () => ask(model, "follow", { point: [x, y] }),
      }, `Measure the person at ${x},${y} (${seen.toFixed(1)} s)`)));
  }
  film.screen.addEventListener("click", (event) => {
    if (!pointing || !player.trial) return;
    const box = film.screen.getBoundingClientRect();
    const [wide, tall] = film.pictureSize();
    setPointing(false);
    ask(model, "follow", { point: [((event.clientX - box.left) / box.width) * wide, ((event.clientY - box.top) / box.height) * tall] });
  });

  const warned = h("div", { role: "status" });
  const showWarnings = () =>
    warned.replaceChildren(...[...model.get("notes"), ...model.get("warnings")].map((text) => h("p", { class: "mobility-dim" }, text)));

  place.append(
    h("h3", {}, model.get("title")),
    h("div", { class: "mobility-trial-top" }, film.screen, body.box),
    warned,
    h("div", { class: "mobility-row" }, player.buttons, h("label", {}, film.skeleton, " skeleton"), readout,
      h("span", { class: "mobility-dim mobility-push", title: "hold Shift to step by ten frames" }, "space plays, ← → step")),
    h("div", { class: "mobility-track mobility-row" }, player.slider),
    people,
    points.details,
    axis.row,
    steps.row,
    repetitions.band,
    curves.panels,
    curves.key,
    curves.choice,
    repetitions.details,
    noticeLine(model),
  );

  function showFrame() {
    if (!player.trial) return;
    film.draw();
    body.showFrame();
    const seconds = Math.max(player.time[player.frame], Math.min(player.moment, player.last));
    axis.follow(seconds);
    const number = repetitions.numberAt(seconds);
    const position = `${seconds.toFixed(2)} s, frame ${player.frame + 1} of ${player.count}${number ? `, ${model.get("noun")} ${number}` : ""}`;
    readout.textContent = position;
    player.slider.value = player.frame;
    player.slider.setAttribute("aria-valuetext", position);
    curves.showMoment(seconds);
  }

  place.addEventListener("keydown", (event) => {
    const tag = event.target.tagName;
    const isOnSlider = event.target === player.slider && event.key === " ";
    if (event.target === body.canvas || (!isOnSlider && ["INPUT", "SELECT", "TEXTAREA"].includes(tag))) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) player.step(event.shiftKey ? 10 * by : by);
    else if (event.key === "Home") player.goTo(0);
    else if (event.key === "End") player.goTo(player.count - 1);
    else if (event.key === "+") axis.zoomBy(2);
    else if (event.key === "-") axis.zoomBy(1 / 2);
    else if (event.key === " " && tag !== "BUTTON" && tag !== "SUMMARY") player.setPlaying(!player.playing);
    else return;
    event.preventDefault();
  });
  player.video.addEventListener("loadeddata", () => {
    film.fit();
    showFrame();
  });

  // Messages from Python

  const received = guarded(model, (message, buffers) => {
    if (message.kind === "trial") {
      const floats = (k) => {
        const b = buffers[k];
        return new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));
      };
      const bytes = (k) => new Uint8Array(buffers[k].buffer, buffers[k].byteOffset, buffers[k].byteLength);
      const trial = {
        ...message, image: floats(0), visible: bytes(1), body: floats(2),
        curves: message.curves.map((curve, k) => ({ ...curve, values: floats(3 + k) })),
      };
      player.load(trial, body.load(trial)); // no earlier than the fit
      film.fit();
      curves.build();
      repetitions.load();
      points.build();
      axis.setZoom(1);
    } else if (message.kind === "video") {
      film.skeleton.disabled = message.annotated;
      player.loadVideo(message);
    }
  });
  listen("msg:custom", received);
  listen("change:others", showPeople);
  listen("change:warnings change:notes", showWarnings);
  listen("change:shown", () => player.trial && curves.build());
  listen("change:repetitions change:by_hand", repetitions.load);
  listen("change:points", points.load);
  listen("change:progress", () => { if (player.trial) { repetitions.showTable(); points.show(); } });
  const redraw = () => { body.draw(); curves.draw(); };
  const resized = new ResizeObserver(() => { film.fit(); redraw(); });
  resized.observe(place);
  // Canvases have the colours of the theme, which may change.
  const redrawSoon = () => requestAnimationFrame(redraw);
  const themed = new MutationObserver(redrawSoon);
  for (const element of [document.documentElement, document.body]) themed.observe(element, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawSoon, { signal: closing.signal });
  showPeople();
  showWarnings();
  ask(model, "load");
  player.askVideo();
  return () => {
    closing.abort();
    player.close();
    resized.disconnect();
    themed.disconnect();
    for (const [names, act] of listeners) model.off(names, act);
  };
}

const widget = shown(trialViewer);
export default widget;

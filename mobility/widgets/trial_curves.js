import { COLOURS, DASHES, LEAST_DEGREES, h, paint, span, svg, ticks } from "./common.js";

const POINT_PIXELS = 2; // least distance of drawn points of a curve
const LEFT = 52;
const RIGHT = 12;
// Bands behind the curves: a repetition on its way there, at its turn, on its way back; a step.
const BANDS = { there: [0, 114, 178, 0.1], turn: [106, 61, 0, 0.2], back: [0, 158, 115, 0.12], step: [128, 128, 128, 0.2] };
const colourOf = (band, share = 1) => `rgba(${BANDS[band].slice(0, 3)}, ${BANDS[band][3] * share})`;

/** The time along the curves, of which a part can be shown; calls `changed` when that is another. */
export function timeAxis(player, changed) {
  let zoom = 1;
  let from = 0; // seconds from the first frame to the left end of the curves
  const button = (label, title, act, text) => h("button", { type: "button", class: "mobility-small", "aria-label": label, title, onclick: act }, text);
  const zoomIn = button("Zoom in on the curves", "Zoom in (+)", () => zoomBy(2), "+");
  const zoomOut = button("Zoom out of the curves", "Zoom out (-)", () => zoomBy(1 / 2), "−");
  const zoomText = h("span", { class: "mobility-dim", role: "status" });
  const row = h("div", { class: "mobility-row" }, h("span", { class: "mobility-dim" }, "Zoom"), zoomIn, zoomOut, zoomText);

  const length = () => (player.last - player.first) / zoom || 1; // of the shown part, seconds
  const partOf = (t) => (t - player.first - from) / length();
  const atPart = (part) => player.first + from + part * length();
  const xOf = (t, width) => LEFT + partOf(t) * (width - LEFT - RIGHT);
  const timeAt = (x, width) => atPart((x - LEFT) / (width - LEFT - RIGHT));

  /** Show a part of the trial around the present frame. */
  function setZoom(wanted) {
    if (!player.trial) return;
    zoom = Math.max(1, Math.min(64, wanted));
    lookAt(player.time[player.frame] - player.first - length() / 2);
  }
  const zoomBy = (factor) => setZoom(zoom * factor);
  function lookAt(seconds) {
    from = Math.max(0, Math.min(player.last - player.first - length(), seconds));
    zoomIn.disabled = zoom >= 64;
    zoomOut.disabled = zoom <= 1;
    zoomText.textContent = zoom > 1 ? `${atPart(0).toFixed(1)} to ${atPart(1).toFixed(1)} s` : "the whole recording";
    changed();
  }
  /** Show the part in which the cursor is. */
  function follow(seconds) {
    if (zoom > 1 && (partOf(seconds) < -1e-6 || partOf(seconds) > 1 + 1e-6)) lookAt(seconds - player.first - (player.playing ? 0.05 : 0.5) * length());
  }
  return { row, partOf, atPart, xOf, timeAt, setZoom, zoomBy, follow, zoom: () => zoom };
}

/** The curves of the trial, one below the other, and the choice of those that are shown. */
export function curvePanels({ model, place, player, axis, repetitions, showFrame }) {
  const { atPart, xOf, timeAt } = axis;
  const cursor = h("div", { class: "mobility-cursor" });
  const panels = h("div", { class: "mobility-panels" });
  const key = h("div", { class: "mobility-row mobility-dim mobility-bands" });
  const choice = h("fieldset", { class: "mobility-choice" });
  let shownPanels = [];
  function build() {
    const names = model.get("shown");
    shownPanels = names
      .map((name) => player.trial.curves.filter((curve) => curve.name === name))
      .filter((sides) => sides.length)
      .map((sides) => {
        const values = sides.map(({ side }) => h("span", { class: side ? `mobility-${side}` : "" }));
        const canvas = h("canvas", { role: "img", "aria-label": `${sides[0].label} over time; click to go to a moment` });
        const jump = (event) => player.goTo(player.frameAt(timeAt(event.offsetX, canvas.clientWidth)));
        canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); jump(event); place.focus({ preventScroll: true }); });
        canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) jump(event); });
        return { sides, canvas, values, box: h("div", {}, h("div", { class: "mobility-panel-head" }, h("strong", {}, sides[0].label), ...values), canvas) };
      });
    panels.replaceChildren(...shownPanels.map(({ box }) => box), cursor);
    const all = [...new Map(player.trial.curves.map((c) => [c.name, c.label])).entries()];
    choice.replaceChildren(h("legend", {}, "Curves"), ...all.map(([name, label]) => {
      const box = h("input", { type: "checkbox", onchange: () => {
        model.set("shown", all.map(([n]) => n).filter((n) => (n === name ? box.checked : names.includes(n))));
        model.save_changes();
      } });
      box.checked = names.includes(name);
      return h("label", {}, box, label);
    }));
    draw();
  }
  /** Say in a line what the bands behind the curves are. */
  function showKey() {
    const [turn, noun] = [model.get("turn"), model.get("noun")];
    const named = { there: `${noun}: start to ${turn}`, turn, back: `${turn} to end`, step: "step to another place" };
    const steps = player.trial.steps.length > 0;
    const bands = Object.keys(named).filter((band) => (band === "step" ? steps : repetitions().length));
    key.hidden = !bands.length;
    key.replaceChildren(...bands.map((band) => h("span", { class: "mobility-key" },
      svg("svg", { viewBox: "0 0 14 12", "aria-hidden": "true" }, svg("rect", { width: 14, height: 12, fill: colourOf(band) })), named[band])));
  }
  function draw() {
    if (!player.trial) return;
    drawCurves();
    showKey();
    showFrame();
  }

  const drawCurves = () => shownPanels.forEach((panel, i) => drawPanel(panel, i === shownPanels.length - 1));

  function drawPanel({ canvas, sides }, isLast) {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    const bottom = isLast ? 18 : 6;
    const n = player.count;
    const ink = getComputedStyle(place).color;
    paint(canvas, width, height, (g) => {
      // With error bands: cut off, they would look smaller.
      const shown = sides.flatMap(({ values }) => [0, 1.96, -1.96].map((z) => values.subarray(0, n).map((value, i) => (z ? value + z * values[n + i] : value))));
      const [low, high] = span(sides[0].units === "°" ? LEAST_DEGREES : 0, ...shown);
      const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - bottom - 4);
      g.save();
      g.beginPath();
      g.rect(LEFT, 0, width - LEFT - RIGHT, height - bottom);
      g.clip();
      const shade = (start, end, colour) => {
        g.fillStyle = colour;
        g.fillRect(xOf(start, width), 0, Math.max(0, xOf(end, width) - xOf(start, width)), height - bottom);
      };
      for (const { from, to } of player.trial.steps) {
        shade(from, to, colourOf("step"));
        g.fillStyle = ink;
        for (let top = 0; top < height; top += 6) g.fillRect(xOf((from + to) / 2, width), top, 1, 3);
      }
      for (const rep of repetitions()) {
        const bottomFrom = rep.bottom_start ?? rep.bottom;
        const bottomTo = rep.bottom_end ?? rep.bottom;
        const pale = rep.accepted ? 1 : 0.35;
        shade(rep.start, bottomFrom, colourOf("there", pale));
        shade(bottomFrom, bottomTo, colourOf("turn", pale));
        shade(bottomTo, rep.end, colourOf("back", pale));
      }
      g.restore();
      g.font = "11px sans-serif";
      g.fillStyle = ink;
      g.textAlign = "right";
      g.textBaseline = "middle";
      for (const value of ticks(low, high, 4)) {
        g.globalAlpha = 0.15;
        g.fillRect(LEFT, y(value), width - LEFT - RIGHT, 1);
        g.globalAlpha = 1;
        g.fillText(`${value}${sides[0].units === "°" ? "°" : ""}`, LEFT - 5, Math.max(y(value), 6));
      }
      if (isLast) {
        g.textAlign = "center";
        g.textBaseline = "alphabetic";
        for (const value of ticks(atPart(0), atPart(1), 8)) g.fillText(`${value} s`, xOf(value, width), height - 4);
      }
      const thin = Math.max(1, Math.floor((n * POINT_PIXELS) / 4 / width / axis.zoom()));
      g.save();
      g.beginPath();
      g.rect(LEFT, 0, width - LEFT - RIGHT, height - bottom);
      g.clip();
      for (const { side, values } of sides) {
        g.fillStyle = COLOURS[side] === "#333333" ? ink : COLOURS[side];
        g.globalAlpha = 0.13;
        let run = 0;
        while (run < n) { // one band per run without gaps
          while (run < n && !Number.isFinite(values[run] + values[n + run])) run++;
          let to = run;
          while (to < n && Number.isFinite(values[to] + values[n + to])) to++;
          if (to > run) {
            g.beginPath();
            for (let i = run; i < to; i += thin) g.lineTo(xOf(player.time[i], width), y(values[i] + 1.96 * values[n + i]));
            for (let i = to - 1; i >= run; i -= thin) g.lineTo(xOf(player.time[i], width), y(values[i] - 1.96 * values[n + i]));
            g.fill();
          }
          run = to + 1;
        }
        g.globalAlpha = 1;
        g.strokeStyle = COLOURS[side] === "#333333" ? ink : COLOURS[side];
        g.lineWidth = 1.6;
        g.setLineDash(DASHES[side]);
        g.beginPath();
        let drawn = false;
        for (let i = 0; i < n; i += thin) {
          if (!Number.isFinite(values[i])) { drawn = false; continue; }
          if (drawn) g.lineTo(xOf(player.time[i], width), y(values[i]));
          else g.moveTo(xOf(player.time[i], width), y(values[i]));
          drawn = true;
        }
        g.stroke();
        g.setLineDash([]);
      }
      g.restore();
    });
  }

  /** Put the cursor to a moment, and its values beside the names of the curves. */
  function showMoment(seconds) {
    if (shownPanels.length) cursor.style.left = `${xOf(seconds, panels.clientWidth) - 1}px`;
    for (const { sides, values } of shownPanels)
      sides.forEach(({ side, values: series, units }, k) => {
        const [value, sd] = [series[player.frame], series[player.count + player.frame]];
        const error = Number.isFinite(sd) ? ` ± ${(1.96 * sd).toFixed(0)}` : "";
        values[k].textContent = Number.isFinite(value)
          ? `${side} ${String(Math.round(value) || 0).replace("-", "−")}${units}${error}`.trim()
          : `${side} no value here`.trim();
      });
  }

  return { panels, key, choice, build, draw, drawCurves, showMoment };
}

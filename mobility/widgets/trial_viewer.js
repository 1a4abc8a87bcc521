// Sources of the video: the server's route, the kernel, then the annotated video, which every browser
// can play, from the same two.
const ATTEMPTS = [false, true].flatMap((annotated) => [false, true].map((local) => ({ local, annotated })));
const HEAD_M = 0.1; // radius of the ball that stands for the head
const LONGEST_GAP_S = 0.25; // between two frames for the skeleton to be interpolated
const POINT_PIXELS = 2; // least distance of drawn points of a curve

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
  const place = root(el, "trial", "Trial");
  place.tabIndex = -1; // keys work after a click anywhere in it
  const closing = new AbortController();
  const listeners = [];
  const listen = (names, act) => {
    listeners.push([names, act]);
    model.on(names, act);
  };
  let trial = null; // what Python sent: time, image, visible, body, curves
  let frame = 0; // the last one with a pose
  let moment = 0; // seconds; between two such frames while the video plays
  let playing = false;
  let hasVideo = false;
  let annotated = false;
  let attempt = 0;
  let drawnFor = "";
  let bodyFrames = [-1, -1]; // first and last frame with a part of the body

  // The screen: the video, and the skeleton over it

  const video = h("video", { muted: true, playsinline: true, preload: "auto", tabindex: -1, "aria-label": "Video of the trial" });
  video.muted = true;
  const overlay = h("canvas", { "aria-hidden": "true" });
  const screen = h("div", { class: "mobility-screen" }, video, overlay);
  const skeleton = h("input", { type: "checkbox", onchange: () => showFrame() });
  skeleton.checked = true;

  // The fitted body, which can be turned

  const bodyCanvas = h("canvas", {
    tabindex: 0, role: "img",
    "aria-label": "The fitted body; turn it by dragging or with the arrow keys, + and - for its size, 0 as it was filmed",
  });
  const view = { yaw: 0, pitch: 0.1, size: 1 };
  const bodyBox = h("div", { class: "mobility-body" },
    bodyCanvas,
    h("div", { class: "mobility-row" },
      ...[["As filmed", 0, 0.1], ["Quarter turn", Math.PI / 2, 0.1], ["From above", 0, 1.35]].map(([name, yaw, pitch]) =>
        h("button", { type: "button", class: "mobility-small", onclick: () => { Object.assign(view, { yaw, pitch }); drawBody(); } }, name)),
      ...["left", "right"].map((side) => h("span", { class: "mobility-key" },
        svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: COLOURS[side], "stroke-width": 3, "stroke-dasharray": DASHES[side].join(" ") })),
        side))));

  // Playing

  const play = h("button", { type: "button", class: "mobility-main", onclick: () => setPlaying(!playing) }, "Play");
  const back = h("button", { type: "button", "aria-label": "One frame back", onclick: () => step(-1) }, "◀ frame");
  const on = h("button", { type: "button", "aria-label": "One frame on", onclick: () => step(1) }, "frame ▶");
  const speed = h("select", { "aria-label": "Speed", onchange: () => { video.playbackRate = Number(speed.value); } },
    ...[[1, "1 ×"], [0.5, "½ ×"], [0.25, "¼ ×"]].map(([value, text]) => h("option", { value }, text)));
  const readout = h("span", { class: "mobility-dim" });
  const slider = h("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Time in the trial", oninput: () => goTo(Number(slider.value)) });

  // Curves and repetitions

  const noun = model.get("noun");
  const Noun = noun[0].toUpperCase() + noun.slice(1);
  const middle = noun === "movement" ? "turn" : "bottom"; // shown name of the key "bottom"
  const band = h("div", { class: "mobility-band", role: "group", "aria-label": `${Noun}s; drag the marks of start, ${middle} and end` });
  band.hidden = !model.get("can_correct");
  const cursor = h("div", { class: "mobility-cursor" });
  const panels = h("div", { class: "mobility-panels" });
  const choice = h("fieldset", { class: "mobility-choice" });
  let reps = []; // what is edited: {start, bottom, end, bottom_start, bottom_end, accepted, reason, joints}
  let changed = false;
  const table = h("table", { class: "mobility-repetitions" });
  const saveReps = h("button", { type: "button", class: "mobility-main", onclick: save }, `Save ${noun}s`);
  const dropReps = h("button", { type: "button", onclick: () => { loadReps(); } }, "Undo changes");
  const freeReps = h("button", { type: "button", onclick: () => ask(model, "save", { intervals: null }) }, "Find them again");
  const addRep = h("button", { type: "button", onclick: add }, "Add one here");

  // Other people in the picture, who can be measured instead

  const people = h("div", { class: "mobility-row", role: "group", "aria-label": "Whom to measure" });
  const point = h("button", { type: "button", "aria-pressed": "false", onclick: () => setPointing(!pointing) }, "Point at the right person");
  let pointing = false;
  function setPointing(wanted) {
    pointing = wanted;
    point.setAttribute("aria-pressed", String(pointing));
    screen.style.cursor = pointing ? "crosshair" : "";
    if (pointing) goTo(frameAt(Math.min(...model.get("others").map((other) => other.time))));
  }
  function showPeople() {
    const others = model.get("others");
    people.hidden = !others.length || !model.get("can_correct");
    people.replaceChildren(
      h("span", { class: "mobility-dim" }, "Not the right person?"), point,
      ...others.map(({ time: seen, point: [x, y] }) => h("button", {
        type: "button",
        onfocus: () => goTo(frameAt(seen)),
        onclick: () => ask(model, "follow", { point: [x, y] }),
      }, `Measure the one at ${x},${y} (${seen.toFixed(1)} s)`)));
  }
  screen.addEventListener("click", (event) => {
    if (!pointing || !trial) return;
    const box = screen.getBoundingClientRect();
    const [wide, tall] = pictureSize();
    setPointing(false);
    ask(model, "follow", { point: [((event.clientX - box.left) / box.width) * wide, ((event.clientY - box.top) / box.height) * tall] });
  });

  const warned = h("div", { role: "status" });
  const showWarnings = () =>
    warned.replaceChildren(...[...model.get("not_served"), ...model.get("warnings")].map((text) => h("p", { class: "mobility-dim" }, text)));

  // Which part of the trial the curves show

  let zoom = 1;
  let from = 0; // seconds from the first frame to the left end of the curves
  const zoomIn = h("button", { type: "button", class: "mobility-small", "aria-label": "Zoom in on the curves", title: "Zoom in (+)", onclick: () => setZoom(zoom * 2) }, "+");
  const zoomOut = h("button", { type: "button", class: "mobility-small", "aria-label": "Zoom out of the curves", title: "Zoom out (-)", onclick: () => setZoom(zoom / 2) }, "−");
  const zoomText = h("span", { class: "mobility-dim", role: "status" });

  place.append(
    h("h3", {}, model.get("title")),
    h("div", { class: "mobility-trial-top" }, screen, bodyBox),
    warned,
    h("div", { class: "mobility-row" }, play, back, on, speed, h("label", {}, skeleton, " skeleton"), readout,
      h("span", { class: "mobility-dim mobility-push", title: "with shift by ten frames" }, "space plays, ← → step")),
    h("div", { class: "mobility-track mobility-row" }, slider),
    people,
    h("div", { class: "mobility-row" }, h("span", { class: "mobility-dim" }, "Zoom"), zoomIn, zoomOut, zoomText),
    band,
    panels,
    choice,
    h("details", { "aria-label": `Correct the ${noun}s`, hidden: !model.get("can_correct") },
      h("summary", {}, `Correct the ${noun}s`),
      h("p", { class: "mobility-dim" }, "Drag the marks above the curves, move them with the arrow keys, or type times in seconds. When you save, what depends on them is analysed again.",
        noun === "movement" ? " An added movement counts for every joint that moves in it." : null),
      table,
      h("div", { class: "mobility-row" }, saveReps, dropReps, addRep, freeReps)),
    noticeLine(model),
  );

  // Frames and times

  const time = () => trial.time;
  const count = () => (trial ? trial.time.length : 0);
  const first = () => time()[0];
  const last = () => time()[count() - 1];

  function frameAt(seconds) {
    const t = time();
    let [low, high] = [0, t.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (t[middle] <= seconds + 1e-4) low = middle;
      else high = middle - 1;
    }
    return low;
  }
  /** Middle of a picture's time: a browser that seeks there shows this picture and no other. */
  function middleOf(i) {
    const t = time();
    const length = i + 1 < t.length ? t[i + 1] - t[i] : t[i] - t[i - 1] || 0.03;
    return t[i] + Math.min(length, trial.picture_s, 0.1) / 2;
  }
  /** Share of the time to the next frame that has passed at the moment, 0 to 1. */
  function shareToNext() {
    const [from, to] = [time()[frame], time()[frame + 1]];
    return to - from < LONGEST_GAP_S ? Math.max(0, Math.min(1, (moment - from) / (to - from))) : 0;
  }
  /** Coordinates of a point at the moment; those of the frame if the next has none. */
  function pointAt(values, points, k, size) {
    const share = shareToNext();
    return Array.from({ length: size }, (_, i) => {
      const now = values[(frame * points + k) * size + i];
      const next = share ? values[((frame + 1) * points + k) * size + i] : now;
      return Number.isFinite(next) ? now + share * (next - now) : now;
    });
  }
  function goTo(i) {
    if (!trial) return;
    setPlaying(false);
    frame = Math.max(0, Math.min(count() - 1, i));
    moment = time()[frame];
    if (hasVideo) video.currentTime = middleOf(frame);
    showFrame();
  }
  const step = (by) => goTo(frame + by);

  function setMoment(seconds) {
    moment = seconds;
    frame = frameAt(seconds);
  }
  function setPlaying(wanted) {
    if (!trial || wanted === playing) return;
    playing = wanted;
    play.textContent = playing ? "Pause" : "Play";
    if (hasVideo) {
      if (playing) {
        if (frame >= count() - 1) video.currentTime = 0;
        video.play().catch((error) => {
          setPlaying(false);
          ask(model, "trouble", { text: `the browser does not play the video: ${error.message}` });
        });
      } else video.pause();
    }
    if (playing) {
      if (frame >= count() - 1) setMoment(first());
      let before = performance.now();
      const tick = (now) => {
        if (!playing || closing.signal.aborted) return;
        if (hasVideo) {
          if (!video.requestVideoFrameCallback) setMoment(video.currentTime);
        } else { // the clock drives the time
          setMoment(Math.min(last(), moment + ((now - before) / 1000) * Number(speed.value)));
          if (moment >= last()) setPlaying(false);
        }
        before = now;
        showFrame();
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }
  }
  function watchFrames() {
    if (!video.requestVideoFrameCallback) return;
    const seen = (_, { mediaTime }) => {
      if (closing.signal.aborted) return;
      if (trial) {
        // An unfinished seek must not move the cursor back.
        if (playing) setMoment(mediaTime);
        showFrame();
      }
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  }
  video.addEventListener("ended", () => { setPlaying(false); if (trial) { setMoment(last()); showFrame(); } });
  video.addEventListener("loadeddata", () => {
    hasVideo = true;
    if (trial && frame) video.currentTime = middleOf(frame);
    fitScreen();
    showFrame();
  });
  video.addEventListener("error", () => {
    if (!video.getAttribute("src")) return;
    hasVideo = false;
    attempt += 1;
    if (attempt < ATTEMPTS.length) askVideo();
    else ask(model, "trouble", { text: "the video cannot be shown here: the browser cannot reach it or does not know its format; the curves work without it" });
  });
  const askVideo = () => ask(model, "video", { page: { ...pageServer(), local: ATTEMPTS[attempt].local }, annotated: ATTEMPTS[attempt].annotated });

  // Drawing

  /** Size of the picture of the landmarks, from the video if a server does not give it. */
  const pictureSize = () => (trial.width ? [trial.width, trial.height] : [video.videoWidth, video.videoHeight]);
  function fitScreen() {
    if (!trial) return;
    const [wide, tall] = pictureSize();
    const [w, hgt] = [wide || 4, tall || 3];
    const style = getComputedStyle(place);
    const room = place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const high = Math.min(420, (Math.min(room > 0 ? room : 600, 620) * hgt) / w);
    screen.style.height = `${high}px`;
    screen.style.width = `${(high * w) / hgt}px`;
  }

  function drawSkeleton() {
    const [width, height] = [screen.clientWidth, screen.clientHeight];
    paint(overlay, width, height, (g) => {
      if (!trial || !skeleton.checked || annotated) return;
      const [wide, tall] = pictureSize();
      if (!wide) return;
      const n = trial.points.length;
      const at = (k) => {
        const [x, y] = pointAt(trial.image, n, k, 2);
        return [(x / wide) * width, (y / tall) * height];
      };
      const seen = (k) => trial.visible[frame * n + k] === 1;
      g.lineCap = "round";
      for (const pass of [0, 1])
        for (const [a, b, side] of trial.image_bones) {
          if (!seen(a) || !seen(b)) continue;
          g.lineWidth = pass ? 3 : 5;
          g.strokeStyle = pass ? (side ? COLOURS[side] : "#dddddd") : "#141414";
          g.beginPath();
          g.moveTo(...at(a));
          g.lineTo(...at(b));
          g.stroke();
        }
      trial.points.forEach((name, k) => {
        if (!seen(k)) return;
        g.fillStyle = name.startsWith("left") ? COLOURS.left : name.startsWith("right") ? COLOURS.right : "#dddddd";
        g.strokeStyle = "#fff";
        g.lineWidth = 1;
        g.beginPath();
        g.arc(...at(k), 3.5, 0, 7);
        g.fill();
        g.stroke();
      });
    });
  }

  /** A ball between the ears, as wide as heads are, a neck below it, and a dot where the nose is. */
  function drawHead(g, at, project, scale, ink, ground) {
    const pointNamed = (name) => {
      const k = trial.body_points.indexOf(name);
      const point = k < 0 ? null : at(k);
      return point && point.every(Number.isFinite) ? point : null;
    };
    const middle = (name) => {
      const [a, b] = ["left", "right"].map((side) => pointNamed(`${side}_${name}`));
      return a && b ? a.map((value, k) => (value + b[k]) / 2) : a || b;
    };
    const [nose, shoulders] = [pointNamed("nose"), middle("shoulder")];
    const centre = middle("ear") || nose;
    if (!centre) return;
    const [x, y] = project(centre);
    g.lineWidth = 3;
    g.strokeStyle = ink;
    if (shoulders) {
      g.beginPath();
      g.moveTo(...project(shoulders).slice(0, 2));
      g.lineTo(x, y);
      g.stroke();
    }
    g.fillStyle = ground;
    g.beginPath();
    g.arc(x, y, HEAD_M * scale, 0, 7);
    g.fill();
    g.stroke();
    if (!nose) return;
    g.fillStyle = ink;
    g.beginPath();
    g.arc(...project(nose).slice(0, 2), 3, 0, 7);
    g.fill();
  }

  function drawBody() {
    const [width, height] = [bodyCanvas.clientWidth, bodyCanvas.clientHeight];
    if (!trial || !width || !height) return;
    const style = getComputedStyle(bodyCanvas);
    const [ink, ground] = [style.color, style.backgroundColor];
    paint(bodyCanvas, width, height, (g) => {
      const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
      const { low, high } = trial.box;
      const middle = low.map((least, k) => (least + high[k]) / 2);
      const scale = bodyScale(trial.box, width, height, view.pitch) * view.size;
      /** Parallel projection of a point in metres: x and y on the canvas, and the depth. */
      const project = ([x, y, z]) => {
        const [a, b, c] = [x - middle[0], y - middle[1], z - middle[2]];
        const [u, w] = [a * cy - c * sy, a * sy + c * cy];
        return [width / 2 + u * scale, height / 2 - (b * cp - w * sp) * scale, w * cp + b * sp];
      };
      g.strokeStyle = ink;
      g.globalAlpha = 0.18;
      g.lineWidth = 1;
      for (let k = -2; k <= 2; k++)
        for (const line of [[[k * 0.4, -0.8], [k * 0.4, 0.8]], [[-0.8, k * 0.4], [0.8, k * 0.4]]]) {
          const ends = line.map(([x, z]) => project([middle[0] + x, low[1], middle[2] + z]));
          g.beginPath();
          g.moveTo(ends[0][0], ends[0][1]);
          g.lineTo(ends[1][0], ends[1][1]);
          g.stroke();
        }
      g.globalAlpha = 1;
      const n = trial.body_points.length;
      const at = (k) => pointAt(trial.body, n, k, 3);
      const bones = trial.body_bones
        .map(([a, b, side]) => ({ side, from: project(at(a)), to: project(at(b)) }))
        .filter(({ from, to }) => Number.isFinite(from[0] + to[0]))
        .sort((p, q) => p.from[2] + p.to[2] - q.from[2] - q.to[2]);
      g.lineCap = "round";
      drawHead(g, at, project, scale, ink, ground);
      for (const { side, from, to } of bones) {
        for (const [colour, wide, dash] of [[ground, 7, []], [side ? COLOURS[side] : ink, 4, side === "right" ? [9, 6] : []]]) {
          g.strokeStyle = colour;
          g.lineWidth = wide;
          g.setLineDash(dash);
          g.beginPath();
          g.moveTo(from[0], from[1]);
          g.lineTo(to[0], to[1]);
          g.stroke();
        }
        g.setLineDash([]);
      }
      if (!bones.length) {
        const [since, until] = bodyFrames;
        const text = since < 0 ? "there is no body to show"
          : frame < since ? `the body begins at ${time()[since].toFixed(2)} s`
          : frame > until ? `the body ends at ${time()[until].toFixed(2)} s` : "no body in this frame";
        g.fillStyle = ink;
        g.font = "13px sans-serif";
        g.textAlign = "center";
        g.fillText(text, width / 2, height / 2);
      }
    });
  }

  const LEFT = 52;
  const RIGHT = 12;
  const length = () => (last() - first()) / zoom || 1; // of the shown part, seconds
  const partOf = (t) => (t - first() - from) / length();
  const atPart = (part) => first() + from + part * length();
  const xOf = (t, width) => LEFT + partOf(t) * (width - LEFT - RIGHT);
  const timeAt = (x, width) => atPart((x - LEFT) / (width - LEFT - RIGHT));

  /** Show a part of the trial around the present frame. */
  function setZoom(wanted) {
    if (!trial) return;
    zoom = Math.max(1, Math.min(64, wanted));
    lookAt(time()[frame] - first() - length() / 2);
  }
  function lookAt(seconds) {
    from = Math.max(0, Math.min(last() - first() - length(), seconds));
    zoomIn.disabled = zoom >= 64;
    zoomOut.disabled = zoom <= 1;
    zoomText.textContent = zoom > 1 ? `${atPart(0).toFixed(1)} to ${atPart(1).toFixed(1)} s` : "the whole trial";
    showReps();
  }

  function drawPanel({ canvas, sides }, isLast) {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    const bottom = isLast ? 18 : 6;
    const n = count();
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
      for (const rep of reps) {
        const shade = (start, end, colour) => {
          g.fillStyle = colour;
          g.fillRect(xOf(start, width), 0, Math.max(0, xOf(end, width) - xOf(start, width)), height - bottom);
        };
        const bottomFrom = rep.bottom_start ?? rep.bottom;
        const bottomTo = rep.bottom_end ?? rep.bottom;
        const pale = rep.accepted ? 1 : 0.35;
        shade(rep.start, bottomFrom, `rgba(0, 114, 178, ${0.1 * pale})`);
        shade(bottomFrom, bottomTo, `rgba(106, 61, 0, ${0.2 * pale})`);
        shade(bottomTo, rep.end, `rgba(0, 158, 115, ${0.12 * pale})`);
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
      const thin = Math.max(1, Math.floor((n * POINT_PIXELS) / 4 / width / zoom));
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
            for (let i = run; i < to; i += thin) g.lineTo(xOf(time()[i], width), y(values[i] + 1.96 * values[n + i]));
            for (let i = to - 1; i >= run; i -= thin) g.lineTo(xOf(time()[i], width), y(values[i] - 1.96 * values[n + i]));
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
          if (drawn) g.lineTo(xOf(time()[i], width), y(values[i]));
          else g.moveTo(xOf(time()[i], width), y(values[i]));
          drawn = true;
        }
        g.stroke();
        g.setLineDash([]);
      }
      g.restore();
    });
  }

  let shownPanels = [];
  function buildPanels() {
    const names = model.get("shown");
    shownPanels = names
      .map((name) => trial.curves.filter((curve) => curve.name === name))
      .filter((sides) => sides.length)
      .map((sides) => {
        const values = sides.map(({ side }) => h("span", { class: side ? `mobility-${side}` : "" }));
        const canvas = h("canvas", { role: "img", "aria-label": `${sides[0].label} over time; click to go to a moment` });
        const jump = (event) => goTo(frameAt(timeAt(event.offsetX, canvas.clientWidth)));
        canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); jump(event); place.focus({ preventScroll: true }); });
        canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) jump(event); });
        return { sides, canvas, values, box: h("div", {}, h("div", { class: "mobility-panel-head" }, h("strong", {}, sides[0].label), ...values), canvas) };
      });
    panels.replaceChildren(...shownPanels.map(({ box }) => box), cursor);
    const all = [...new Map(trial.curves.map((c) => [c.name, c.label])).entries()];
    choice.replaceChildren(h("legend", {}, "Curves"), ...all.map(([name, label]) => {
      const box = h("input", { type: "checkbox", onchange: () => {
        model.set("shown", all.map(([n]) => n).filter((n) => (n === name ? box.checked : names.includes(n))));
        model.save_changes();
      } });
      box.checked = names.includes(name);
      return h("label", {}, box, label);
    }));
    drawPanels();
  }
  function drawPanels() {
    if (!trial) return;
    shownPanels.forEach((panel, i) => drawPanel(panel, i === shownPanels.length - 1));
    showFrame();
  }

  function showFrame() {
    if (!trial) return;
    drawSkeleton();
    const key = `${frame} ${shareToNext()}`;
    if (drawnFor !== key) {
      drawnFor = key;
      drawBody();
    }
    const seconds = Math.max(time()[frame], Math.min(moment, last()));
    // The shown part follows the cursor.
    if (zoom > 1 && (partOf(seconds) < -1e-6 || partOf(seconds) > 1 + 1e-6)) lookAt(seconds - first() - (playing ? 0.05 : 0.5) * length());
    const inRep = reps.filter((rep) => rep.accepted).findIndex((rep) => rep.start <= seconds && seconds <= rep.end);
    const position = `${seconds.toFixed(2)} s, frame ${frame + 1} of ${count()}${inRep < 0 ? "" : `, ${noun} ${inRep + 1}`}`;
    readout.textContent = position;
    slider.value = frame;
    slider.setAttribute("aria-valuetext", position);
    if (shownPanels.length) cursor.style.left = `${xOf(seconds, panels.clientWidth) - 1}px`;
    for (const { sides, values } of shownPanels)
      sides.forEach(({ side, values: series, units }, k) => {
        const [value, sd] = [series[frame], series[count() + frame]];
        const error = Number.isFinite(sd) ? ` ± ${(1.96 * sd).toFixed(0)}` : "";
        values[k].textContent = Number.isFinite(value)
          ? `${side} ${String(Math.round(value) || 0).replace("-", "−")}${units}${error}`.trim()
          : `${side} not given`.trim();
      });
  }

  // Repetitions by hand

  function loadReps() {
    reps = model.get("repetitions").map((rep) => ({ ...rep }));
    changed = false;
    showReps();
  }
  function touch(rep) {
    delete rep.bottom_start;
    delete rep.bottom_end;
    changed = true;
  }
  /** Movements of different joints may overlap. */
  const mayCollide = (a, b) => b.accepted && (!a.joints || !b.joints || a.joints.some((joint) => b.joints.includes(joint)));
  function limits(rep, which) {
    const order = reps.indexOf(rep);
    const before = reps.slice(0, order).filter((r) => mayCollide(rep, r)).pop();
    const after = reps.slice(order + 1).find((r) => mayCollide(rep, r));
    const gap = 0.05;
    return {
      start: [before ? before.end : first(), rep.bottom - gap],
      bottom: [rep.start + gap, rep.end - gap],
      end: [rep.bottom + gap, after ? after.start : last()],
    }[which];
  }
  function moveMark(rep, which, seconds) {
    const [low, high] = limits(rep, which);
    rep[which] = Math.round(Math.max(low, Math.min(high, seconds)) * 1000) / 1000;
    touch(rep);
  }
  function add() {
    if (!trial) return;
    const now = time()[frame];
    if (reps.some((rep) => rep.accepted && rep.start <= now && now <= rep.end)) {
      ask(model, "trouble", { text: `there is already a ${noun} at this moment; go to the ${middle} of the missing one` });
      return;
    }
    const before = reps.filter((rep) => rep.accepted && rep.end < now).pop();
    const after = reps.find((rep) => rep.accepted && rep.start > now);
    reps.push({ start: Math.max(before ? before.end : first(), now - 1), bottom: now, end: Math.min(after ? after.start : last(), now + 1), accepted: true, reason: "" });
    reps.sort((a, b) => a.start - b.start);
    changed = true;
    showReps();
  }
  function save() {
    const intervals = reps.filter((rep) => rep.accepted).map(({ start, bottom, end, joints }) => ({ start, bottom, end, ...(joints ? { joints } : {}) }));
    ask(model, "save", { intervals });
  }

  function showReps() {
    const width = () => band.clientWidth;
    const left = (t) => `${partOf(t) * 100}%`;
    if (!trial) return;
    const marks = [];
    let number = 0;
    for (const rep of reps) {
      if (rep.accepted) number += 1;
      const name = rep.accepted ? `${Noun} ${number}` : "Rejected";
      const of = (rep.joints || []).join(", ");
      const bar = h("div", { class: `mobility-rep${rep.accepted ? "" : " mobility-rejected"}`, title: [of, rep.reason].filter(Boolean).join(": ") || name }, rep.accepted ? `${number}` : name); // a mark lies over longer texts
      const lay = () => {
        bar.style.left = left(rep.start);
        bar.style.width = `${Math.max(0, partOf(rep.end) - partOf(rep.start)) * 100}%`;
      };
      lay();
      marks.push(bar);
      if (!rep.accepted) continue;
      for (const which of ["start", "bottom", "end"]) {
        const label = `${name}, ${which === "bottom" ? middle : which}`;
        const handle = h("div", { class: `mobility-handle mobility-${which}`, role: "slider", tabindex: 0, "aria-label": label, title: label, "aria-orientation": "horizontal" });
        const put = () => {
          handle.style.left = left(rep[which]);
          handle.hidden = partOf(rep[which]) < 0 || partOf(rep[which]) > 1;
          const [low, high] = limits(rep, which);
          handle.setAttribute("aria-valuemin", low.toFixed(2));
          handle.setAttribute("aria-valuemax", high.toFixed(2));
          handle.setAttribute("aria-valuenow", rep[which].toFixed(2));
          handle.setAttribute("aria-valuetext", `${rep[which].toFixed(2)} s`);
        };
        const move = (seconds) => {
          moveMark(rep, which, seconds);
          put();
          lay();
          showTable();
          shownPanels.forEach((panel, i) => drawPanel(panel, i === shownPanels.length - 1));
          goTo(frameAt(rep[which]));
        };
        put();
        handle.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          handle.focus();
          handle.setPointerCapture(event.pointerId);
        });
        handle.addEventListener("pointermove", (event) => {
          if (!(event.buttons & 1)) return;
          const box = band.getBoundingClientRect();
          move(Math.max(atPart(0), Math.min(atPart(1), atPart((event.clientX - box.left) / width()))));
        });
        handle.addEventListener("keydown", (event) => {
          const by = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
          if (!by) return;
          event.preventDefault();
          event.stopPropagation();
          move(rep[which] + (by * (last() - first())) / Math.max(1, count() - 1));
        });
        marks.push(handle);
      }
    }
    // Keep the focus.
    const active = band.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    band.replaceChildren(...marks);
    if (active) marks.find((mark) => mark.getAttribute("aria-label") === active)?.focus();
    showTable();
    drawPanels();
  }
  function showTable() {
    saveReps.disabled = !changed || Boolean(model.get("progress").text);
    dropReps.disabled = !changed;
    freeReps.disabled = !model.get("by_hand");
    const active = table.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    const head = h("tr", {}, ...["", "start (s)", `${middle} (s)`, "end (s)", ""].map((text) => h("th", { scope: "col" }, text)));
    let number = 0;
    const rows = reps.map((rep) => {
      if (rep.accepted) number += 1;
      const name = rep.accepted ? `${Noun} ${number}` : "Rejected";
      const cells = ["start", "bottom", "end"].map((which) => {
        const box = h("input", {
          type: "number", step: 0.01, "aria-label": `${name}, ${which === "bottom" ? middle : which}, seconds`, disabled: !rep.accepted, value: rep[which].toFixed(2),
          onchange: () => {
            const value = Number(box.value);
            if (Number.isFinite(value)) moveMark(rep, which, value);
            showReps();
          },
        });
        return h("td", {}, box);
      });
      const act = rep.accepted
        ? h("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => { reps = reps.filter((r) => r !== rep); changed = true; showReps(); } }, "Remove")
        : h("button", { type: "button", "aria-label": "Accept this one", onclick: () => { rep.accepted = true; touch(rep); showReps(); } }, "Accept");
      return h("tr", {}, h("th", { scope: "row" }, name), ...cells, h("td", {}, act, [(rep.joints || []).join(", "), rep.reason].filter(Boolean).map((text) => ` ${text}`).join(":")));
    });
    table.replaceChildren(head, ...rows);
    if (active) [...table.querySelectorAll("input, button")].find((e) => e.getAttribute("aria-label") === active)?.focus();
  }

  // Keys and dragging

  place.addEventListener("keydown", (event) => {
    const tag = event.target.tagName;
    const onSlider = event.target === slider && event.key === " ";
    if (event.target === bodyCanvas || (!onSlider && ["INPUT", "SELECT", "TEXTAREA"].includes(tag))) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) step(event.shiftKey ? 10 * by : by);
    else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(count() - 1);
    else if (event.key === "+") setZoom(zoom * 2);
    else if (event.key === "-") setZoom(zoom / 2);
    else if (event.key === " " && tag !== "BUTTON" && tag !== "SUMMARY") setPlaying(!playing);
    else return;
    event.preventDefault();
  });
  bodyCanvas.addEventListener("keydown", (event) => {
    const turn = 0.12;
    if (event.key === "ArrowLeft") view.yaw -= turn;
    else if (event.key === "ArrowRight") view.yaw += turn;
    else if (event.key === "ArrowUp") view.pitch = Math.min(1.5, view.pitch + turn);
    else if (event.key === "ArrowDown") view.pitch = Math.max(-1.5, view.pitch - turn);
    else if (event.key === "+") view.size = Math.min(4, view.size * 1.1);
    else if (event.key === "-") view.size = Math.max(0.4, view.size / 1.1);
    else if (event.key === "0") Object.assign(view, { yaw: 0, pitch: 0.1, size: 1 });
    else return;
    event.preventDefault();
    event.stopPropagation();
    drawBody();
  });
  bodyCanvas.addEventListener("pointerdown", (event) => bodyCanvas.setPointerCapture(event.pointerId));
  bodyCanvas.addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1)) return;
    view.yaw += event.movementX * 0.01;
    view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + event.movementY * 0.01));
    drawBody();
  });

  // Messages from Python

  const received = guarded(model, (message, buffers) => {
    if (message.kind === "trial") {
      const floats = (k) => {
        const b = buffers[k];
        return new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));
      };
      const bytes = (k) => new Uint8Array(buffers[k].buffer, buffers[k].byteOffset, buffers[k].byteLength);
      trial = {
        ...message, image: floats(0), visible: bytes(1), body: floats(2),
        curves: message.curves.map((curve, k) => ({ ...curve, values: floats(3 + k) })),
      };
      bodyBox.hidden = !trial.body_points.length;
      slider.max = count() - 1;
      const has = (i) => trial.body_bones.some(([a, b]) => Number.isFinite(trial.body[(i * trial.body_points.length + a) * 3] + trial.body[(i * trial.body_points.length + b) * 3]));
      const withBody = Array.from(trial.time.keys()).filter(has);
      bodyFrames = withBody.length ? [withBody[0], withBody.at(-1)] : [-1, -1];
      // Start no earlier than the fit.
      frame = Math.max(0, bodyFrames[0], Math.min(frame, count() - 1));
      moment = time()[frame];
      if (hasVideo) video.currentTime = middleOf(frame);
      fitScreen();
      buildPanels();
      loadReps();
      setZoom(1);
      drawnFor = "";
      showFrame();
    } else if (message.kind === "video") {
      annotated = message.annotated;
      skeleton.disabled = annotated;
      video.src = message.url;
    }
  });
  listen("msg:custom", received);
  listen("change:others", showPeople);
  listen("change:warnings change:not_served", showWarnings);
  listen("change:shown", () => trial && buildPanels());
  listen("change:repetitions change:by_hand", loadReps);
  listen("change:progress", () => trial && showTable());
  const resized = new ResizeObserver(() => { fitScreen(); drawnFor = ""; drawPanels(); });
  resized.observe(place);
  // Canvases have the colours of the theme, which may change.
  const redraw = () => requestAnimationFrame(() => { drawnFor = ""; drawPanels(); });
  const themed = new MutationObserver(redraw);
  for (const element of [document.documentElement, document.body]) themed.observe(element, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal: closing.signal });
  watchFrames();
  showPeople();
  showWarnings();
  ask(model, "load");
  askVideo();
  return () => {
    closing.abort();
    playing = false;
    resized.disconnect();
    themed.disconnect();
    video.removeAttribute("src");
    video.load();
    for (const [names, act] of listeners) model.off(names, act);
  };
}

const widget = shown(trialViewer);
export default widget;

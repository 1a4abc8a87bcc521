import { COLOURS, DASHES, h, paint, svg } from "./common.js";

const HEAD_M = 0.1; // radius of the ball that stands for the head

/** The video, and over it the skeleton that was found in it. */
export function filmedBody(place, player) {
  const overlay = h("canvas", { "aria-hidden": "true" });
  const screen = h("div", { class: "mobility-screen" }, player.video, overlay);
  const skeleton = h("input", { type: "checkbox", onchange: () => draw() });
  skeleton.checked = true;

  /** Size of the picture of the landmarks, from the video if a server does not give it. */
  const pictureSize = () => (player.trial.width ? [player.trial.width, player.trial.height] : [player.video.videoWidth, player.video.videoHeight]);
  function fit() {
    if (!player.trial) return;
    const [wide, tall] = pictureSize();
    const [w, hgt] = [wide || 4, tall || 3];
    const style = getComputedStyle(place);
    const room = place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const high = Math.min(420, (Math.min(room > 0 ? room : 600, 620) * hgt) / w);
    screen.style.height = `${high}px`;
    screen.style.width = `${(high * w) / hgt}px`;
  }

  function draw() {
    const [width, height] = [screen.clientWidth, screen.clientHeight];
    paint(overlay, width, height, (g) => {
      if (!player.trial || !skeleton.checked || player.annotated) return;
      const [wide, tall] = pictureSize();
      if (!wide) return;
      const n = player.trial.points.length;
      const at = (k) => {
        const [x, y] = player.pointAt(player.trial.image, n, k, 2);
        return [(x / wide) * width, (y / tall) * height];
      };
      const seen = (k) => player.trial.visible[player.frame * n + k] === 1;
      g.lineCap = "round";
      for (const pass of [0, 1])
        for (const [a, b, side] of player.trial.image_bones) {
          if (!seen(a) || !seen(b)) continue;
          g.lineWidth = pass ? 3 : 5;
          g.strokeStyle = pass ? (side ? COLOURS[side] : "#dddddd") : "#141414";
          g.beginPath();
          g.moveTo(...at(a));
          g.lineTo(...at(b));
          g.stroke();
        }
      player.trial.points.forEach((name, k) => {
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

  return { screen, skeleton, pictureSize, fit, draw };
}

/** The fitted body, which can be turned. */
export function fittedBody(player) {
  let frames = [-1, -1]; // first and last one with a part of the body
  let drawnFor = "";
  const canvas = h("canvas", {
    tabindex: 0, role: "img",
    "aria-label": "The fitted body: drag it or press the arrow keys to turn it, + and - to zoom, 0 for the view of the camera",
  });
  const view = { yaw: 0, pitch: 0.1, size: 1 };
  const box = h("div", { class: "mobility-body" },
    canvas,
    h("div", { class: "mobility-row" },
      ...[["As filmed", 0, 0.1], ["Quarter turn", Math.PI / 2, 0.1], ["From above", 0, 1.35]].map(([name, yaw, pitch]) =>
        h("button", { type: "button", class: "mobility-small", onclick: () => { Object.assign(view, { yaw, pitch }); draw(); } }, name)),
      ...["left", "right"].map((side) => h("span", { class: "mobility-key" },
        svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: COLOURS[side], "stroke-width": 3, "stroke-dasharray": DASHES[side].join(" ") })),
        side))));

  /** Take the body of a trial; gives the first frame that has one. */
  function load(trial) {
    box.hidden = !trial.body_points.length;
    const has = (i) => trial.body_bones.some(([a, b]) => Number.isFinite(trial.body[(i * trial.body_points.length + a) * 3] + trial.body[(i * trial.body_points.length + b) * 3]));
    const withBody = Array.from(trial.time.keys()).filter(has);
    frames = withBody.length ? [withBody[0], withBody.at(-1)] : [-1, -1];
    drawnFor = "";
    return frames[0];
  }
  /** Draw the body of the moment, unless it is drawn. */
  function showFrame() {
    const key = `${player.frame} ${player.shareToNext()}`;
    if (drawnFor === key) return;
    drawnFor = key;
    draw();
  }

  function draw() {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!player.trial || !width || !height) return;
    const style = getComputedStyle(canvas);
    const [ink, ground] = [style.color, style.backgroundColor];
    paint(canvas, width, height, (g) => {
      const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
      const { low, high } = player.trial.box;
      const middle = low.map((least, k) => (least + high[k]) / 2);
      const scale = bodyScale(player.trial.box, width, height, view.pitch) * view.size;
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
      const n = player.trial.body_points.length;
      const at = (k) => player.pointAt(player.trial.body, n, k, 3);
      const bones = player.trial.body_bones
        .map(([a, b, side]) => ({ side, from: project(at(a)), to: project(at(b)) }))
        .filter(({ from, to }) => Number.isFinite(from[0] + to[0]))
        .sort((p, q) => p.from[2] + p.to[2] - q.from[2] - q.to[2]);
      g.lineCap = "round";
      drawHead(g, player.trial.body_points, at, project, scale, ink, ground);
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
        const [since, until] = frames;
        const text = since < 0 ? "there is no body to show"
          : player.frame < since ? `the body begins at ${player.time[since].toFixed(2)} s`
          : player.frame > until ? `the body ends at ${player.time[until].toFixed(2)} s` : "no body in this frame";
        g.fillStyle = ink;
        g.font = "13px sans-serif";
        g.textAlign = "center";
        g.fillText(text, width / 2, height / 2);
      }
    });
  }

  canvas.addEventListener("keydown", (event) => {
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
    draw();
  });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1)) return;
    view.yaw += event.movementX * 0.01;
    view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + event.movementY * 0.01));
    draw();
  });

  return { box, canvas, load, showFrame, draw };
}

/** A ball between the ears, as wide as heads are, a neck below it, and a dot where the nose is. */
function drawHead(g, names, at, project, scale, ink, ground) {
  const pointNamed = (name) => {
    const k = names.indexOf(name);
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

/** Pixels per metre at which a body of this box fits a canvas, however it is turned about the vertical. */
function bodyScale({ low, high }, width, height, pitch) {
  const tall = Math.max(high[1] - low[1], 0.5);
  const broad = Math.max(Math.hypot(high[0] - low[0], high[2] - low[2]), 0.5);
  const visible = tall * Math.abs(Math.cos(pitch)) + broad * Math.abs(Math.sin(pitch));
  return 0.82 * Math.min(height / visible, width / broad);
}


import { ask, COLOURS, DASHES, faultLine, guarded, h, LEAST_DEGREES, newId, noticeLine, root, shown, span, svg, ticks } from "./common.js";

function configEditor({ model, el }) {
  const place = root(el, "config", "Display settings");
  let curves = null; // {time: [...], of: {joint: {left, right}}}
  let now = { shown: model.get("shown"), comments: model.get("comments") };
  const me = newId("editor");
  let number = 0; // of what was asked last; older answers are not believed
  const list = h("ul", { class: "mobility-angles", "aria-label": "Angles; the shown ones come first, in their order" });
  const pictures = h("div", { class: "mobility-curves", role: "region", "aria-label": "Curves as they are shown", tabindex: 0 });
  // A field that is left by pressing a button may move it away under the mouse: the click would be lost.
  const stay = (event) => event.preventDefault();
  const save = h("button", { class: "mobility-main", type: "button", onmousedown: stay, onclick: () => sendAfter("save", save) }, "Save");
  const undo = h("button", { type: "button", title: "Undo the last change (Ctrl+Z)", onmousedown: stay, onclick: () => sendAfter("undo", undo) }, "Undo");
  const state = h("span", { class: "mobility-dim" });
  const notice = noticeLine(model, ({ kind }) =>
    kind === "conflict"
      ? [
          h("button", { type: "button", onclick: () => ask(model, "reload") }, "Load the saved settings"),
          h("button", { type: "button", onclick: () => ask(model, "save", { force: true }) }, "Save mine instead"),
        ]
      : [],
  );
  place.append(
    h("h3", {}, "Angles to show: ", model.get("title")),
    h("div", { class: "mobility-config-columns" }, h("div", {}, list, faultLine(model, "shown_angles")), pictures),
    h("div", { class: "mobility-row" }, save, undo, state),
    notice,
  );

  /** Leave the field that is being written first, so that nothing written is lost. */
  function sendAfter(what, button = null) {
    button?.focus();
    if (list.contains(document.activeElement)) document.activeElement.blur();
    ask(model, what, what === "undo" ? asked() : {});
  }
  function asked() {
    list.ariaBusy = true;
    return { number: `${me} ${++number}` };
  }
  function change(name, value) {
    now = { ...now, [name]: value };
    ask(model, "change", { ...now, ...asked() });
    showList();
  }
  function heard() {
    const answered = model.get("answered");
    if (answered.startsWith(`${me} `) && answered !== `${me} ${number}`) return;
    list.ariaBusy = false;
    now = { shown: model.get("shown"), comments: model.get("comments") };
    showList();
  }
  function move(key, by) {
    const shown = [...now.shown];
    const from = shown.indexOf(key);
    const to = Math.max(0, Math.min(shown.length - 1, from + by));
    if (from < 0 || from === to) return;
    shown.splice(to, 0, shown.splice(from, 1)[0]);
    change("shown", shown);
    list.querySelector(`[data-key="${key}"] input`)?.focus();
  }
  function comment(key, text) {
    if (rendering) return;
    const comments = { ...now.comments };
    if (text.trim()) comments[key] = text;
    else delete comments[key];
    if (JSON.stringify(comments) !== JSON.stringify(now.comments)) change("comments", comments);
  }

  function row({ key, label }) {
    const { shown } = now;
    const isShown = shown.includes(key);
    const text = now.comments[key] || "";
    const box = h("input", {
      type: "checkbox",
      onchange: () => change("shown", isShown ? shown.filter((k) => k !== key) : [...shown, key]),
    });
    box.checked = isShown;
    const head = h("div", { class: "mobility-angle-head" }, h("label", {}, box, label));
    if (isShown) {
      const place = shown.indexOf(key);
      head.append(
        h("button", { type: "button", class: "mobility-small", "aria-label": `Move ${label} up`, disabled: place === 0, onclick: () => move(key, -1) }, "↑"),
        h("button", { type: "button", class: "mobility-small", "aria-label": `Move ${label} down`, disabled: place === shown.length - 1, onclick: () => move(key, 1) }, "↓"),
      );
    }
    const item = h("li", { "data-key": key, draggable: isShown }, head);
    if (isShown || text) {
      const found = (model.get("errors").comments || []).filter((fault) => fault.startsWith(`'${key}'`));
      const faults = h("div", { class: "mobility-fault", role: "alert", id: newId("fault"), hidden: !found.length },
        found.map((fault) => fault.replace(/^'.*?': /, "")).join("; "));
      const area = h("textarea", {
        rows: 1, placeholder: "Comment", "aria-label": `Comment on ${label}`, "aria-describedby": faults.id,
        maxlength: model.get("comment_length"), onchange: () => comment(key, area.value),
      });
      area.value = text;
      item.append(area, faults);
    }
    item.addEventListener("keydown", (event) => {
      if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        event.preventDefault();
        move(key, event.key === "ArrowUp" ? -1 : 1);
      }
    });
    item.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", key));
    item.addEventListener("dragover", (event) => {
      event.preventDefault();
      item.classList.add("mobility-over");
    });
    item.addEventListener("dragleave", () => item.classList.remove("mobility-over"));
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      item.classList.remove("mobility-over");
      const from = event.dataTransfer.getData("text/plain");
      if (isShown && shown.includes(from)) move(from, shown.indexOf(key) - shown.indexOf(from));
    });
    return item;
  }

  let shownList = "";
  let rendering = false;
  function showList() {
    const state = JSON.stringify([now, model.get("errors")]);
    if (state === shownList) return;
    shownList = state;
    rendering = true; // a field that is taken away tells of a change that nobody made
    const { shown } = now;
    // Where the keyboard was, it stays.
    const active = list.contains(document.activeElement) ? document.activeElement : null;
    const name = active && (active.getAttribute("aria-label") || active.type);
    const at = active && active.closest("li").dataset.key;
    const draft = active && active.tagName === "TEXTAREA" ? active.value : null;
    const by = Object.fromEntries(model.get("angles").map((angle) => [angle.key, angle]));
    const others = model.get("angles").filter(({ key }) => !shown.includes(key));
    list.replaceChildren(...[...shown.filter((key) => by[key]).map((key) => by[key]), ...others].map(row));
    if (active) {
      const controls = [...list.querySelectorAll(`li[data-key="${at}"] :is(input, button, textarea)`)];
      const same = controls.find((c) => !c.disabled && (c.getAttribute("aria-label") || c.type) === name);
      (same || controls[0])?.focus();
      if (same && draft !== null) same.value = draft;
    }
    rendering = false;
    showCurves();
  }

  function picture({ key, label }) {
    const width = 600;
    const height = 130;
    const [left, right, top, bottom] = [40, 6, 6, 20];
    const joint = key.replace(/^(left|right)_/, "").replace(/_angle$/, "");
    const sides = key.startsWith("left_") ? ["left"] : key.startsWith("right_") ? ["right"] : ["left", "right"];
    const time = curves.time;
    const series = sides.map((side) => curves.of[joint][side]);
    const [low, high] = span(LEAST_DEGREES, ...series);
    const [first, last] = [time[0], time[time.length - 1] || 1];
    const x = (t) => left + ((t - first) / (last - first || 1)) * (width - left - right);
    const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label} over time`, preserveAspectRatio: "none" });
    for (const value of ticks(low, high, 4)) {
      drawing.append(svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), stroke: "currentColor", "stroke-opacity": 0.15 }));
      const text = svg("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end", "font-size": 11, fill: "currentColor" });
      text.textContent = `${value}°`;
      drawing.append(text);
    }
    for (const value of ticks(first, last, 6)) {
      const text = svg("text", { x: x(value), y: height - 5, "text-anchor": "middle", "font-size": 11, fill: "currentColor" });
      text.textContent = `${value} s`;
      drawing.append(text);
    }
    sides.forEach((side, which) => {
      let path = "";
      let drawn = false;
      series[which].forEach((value, i) => {
        const good = value !== null && Number.isFinite(value);
        if (good) path += `${drawn ? "L" : "M"}${x(time[i]).toFixed(1)} ${y(value).toFixed(1)}`;
        drawn = good;
      });
      drawing.append(svg("path", { d: path, fill: "none", stroke: COLOURS[side], "stroke-width": 2, "stroke-dasharray": DASHES[side].join(" "), "vector-effect": "non-scaling-stroke" }));
    });
    return drawing;
  }

  function showCurves() {
    const by = Object.fromEntries(model.get("angles").map((angle) => [angle.key, angle]));
    const shown = now.shown.filter((key) => by[key]);
    const { comments } = now;
    if (!shown.length) {
      pictures.replaceChildren(h("p", { class: "mobility-dim" }, "No angle is chosen: the report shows all of them."));
      return;
    }
    const key = ["left", "right"].map((side) =>
      h("span", { class: "mobility-key" },
        svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: COLOURS[side], "stroke-width": 2, "stroke-dasharray": DASHES[side].join(" ") })),
        side));
    pictures.replaceChildren(
      h("div", { class: "mobility-row" }, ...key),
      ...shown.map((name) =>
        h("figure", { class: "mobility-curve" },
          h("figcaption", {}, by[name].label),
          curves ? picture(by[name]) : h("p", { class: "mobility-dim" }, model.get("without_curves")),
          comments[name] ? h("p", {}, comments[name]) : null)),
    );
  }

  function showState() {
    undo.disabled = !model.get("can_undo");
    state.textContent = model.get("unsaved") ? "Not saved yet." : model.get("revision") ? "Saved." : "Nothing saved yet.";
  }

  place.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && event.target.tagName !== "TEXTAREA") {
      event.preventDefault();
      sendAfter("undo");
    } else if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      event.stopPropagation();
      sendAfter("save");
    }
  });
  const received = guarded(model, (message) => {
    if (message.kind === "curves") {
      curves = message;
      showCurves();
    }
  });
  model.on("msg:custom", received);
  model.on("change:shown change:comments change:answered", heard);
  model.on("change:errors", showList);
  model.on("change:can_undo change:unsaved change:revision", showState);
  showList();
  showState();
  ask(model, "curves");
  return () => model.off("msg:custom", received);
}

export default shown(configEditor);

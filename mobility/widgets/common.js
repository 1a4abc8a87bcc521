// Shared by all widgets.

// Blue and vermilion of Okabe and Ito, and dashes for the right side, as in the figures.
export const COLOURS = { left: "#0072B2", right: "#D55E00", "": "#333333" };
export const DASHES = { left: [], right: [6, 3], "": [] };
// On a finer axis, noise of a resting joint would look like a movement.
export const LEAST_DEGREES = 30;
let idCount = 0;

const FOCUSABLE = ["a", "button", "input", "select", "summary", "textarea"];

/** Element with attributes, listeners (on...) and children; text is never read as HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  // JupyterLab's keys (arrows, "d d" to delete the cell) look at the focused element first.
  if (FOCUSABLE.includes(tag) || "tabindex" in attributes)
    element.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An id that no other element of the page has. */
export const newId = (name) => `mobility-${name}-${++idCount}-${Math.random().toString(36).slice(2, 8)}`;

export const ask = (model, what, content = {}, buffers = []) =>
  model.send({ do: what, ...content }, undefined, buffers);

/** The same function, whose errors the widget shows, not only the console. */
export const guarded = (model, act) => (...values) => {
  try {
    return act(...values);
  } catch (error) {
    console.error(error);
    ask(model, "trouble", { text: `this is a bug of mobility; please report it: ${error.message}` });
    return undefined;
  }
};

/** A widget that shows an error if it cannot be drawn. */
export const shown = (draw) => ({
  render: (context) => {
    try {
      // A living widget hides its still picture.
      const still = `[data-mobility-still="${context.model.get("still")}"]`;
      context.el.append(h("style", {}, `${still}, .jp-OutputArea-child:has(${still}) { display: none }`));
      return draw(context);
    } catch (error) {
      console.error(error);
      context.el.replaceChildren(
        h("p", { class: "mobility-error", role: "alert" }, `the widget cannot be shown: ${error.message}`));
      return undefined;
    }
  },
});

/** The Jupyter server that the page comes from. */
export function pageServer() {
  try {
    const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    return { base: config.baseUrl || "", root: config.serverRoot || "" };
  } catch {
    return { base: "", root: "" };
  }
}

/** Root of a widget, inside which JupyterLab's keys do nothing. */
export function root(el, name, label) {
  el.classList.add("mobility");
  const place = h("section", {
    class: `mobility-${name}`, "aria-label": label, "data-lm-suppress-shortcuts": "true",
  });
  el.append(place);
  return place;
}

/** Notice of the last act, and progress of the running work. */
export function noticeLine(model, actions = () => []) {
  const text = h("span", {});
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const running = h("span", {});
  const work = h("div", { class: "mobility-progress", hidden: true }, bar, running);
  const heard = h("div", { class: "mobility-heard", role: "status" }); // a step is read out, not each of its parts
  const line = h("div", { class: "mobility-notice", role: "status", "aria-live": "polite" });
  const show = () => {
    const notice = model.get("notice");
    line.className = `mobility-notice mobility-${notice.kind || "none"}`;
    text.textContent = notice.text || "";
    line.replaceChildren(...(notice.text ? [text, ...actions(notice)] : []));
  };
  const showWork = () => {
    const { text: step, part } = model.get("progress");
    work.hidden = !step;
    running.textContent = step || "";
    const [what] = (step || "").split(": ");
    if (heard.textContent !== what) heard.textContent = what;
    if (part === null || part === undefined) bar.removeAttribute("value");
    else bar.value = part;
  };
  model.on("change:notice", show);
  model.on("change:progress", showWork);
  show();
  showWork();
  return h("div", {}, work, heard, line);
}

/** Faults of a field, shown beside it; `control` is marked as invalid. A function gives a name that changes. */
export function faultLine(model, field, control = null) {
  const line = h("div", { class: "mobility-fault", role: "alert", id: newId("fault") });
  const show = () => {
    const faults = model.get("errors")[typeof field === "function" ? field() : field] || [];
    line.textContent = faults.join("; ");
    control?.setAttribute("aria-invalid", faults.length ? "true" : "false");
    line.hidden = !faults.length;
  };
  control?.setAttribute("aria-describedby", line.id);
  model.on("change:errors", show);
  show();
  return line;
}

/** Draw on a canvas in CSS pixels, sharp on every screen. */
export function paint(canvas, width, height, draw) {
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  draw(context);
}

/** Round steps that cut the range from low to high into at most `most` parts. */
export function ticks(low, high, most) {
  const raw = (high - low) / most;
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++)
    values.push(Number((k * step).toPrecision(12)));
  return values;
}

/** Least and greatest finite number with a margin, at least `least` apart. */
export function span(least, ...series) {
  let low = Infinity;
  let high = -Infinity;
  for (const values of series)
    for (const value of values)
      if (Number.isFinite(value)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
  if (low > high) return [0, 1];
  const margin = Math.max((high - low) * 0.08, (least - (high - low)) / 2, 2);
  return [low - margin, high + margin];
}

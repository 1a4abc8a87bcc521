import { ask, h } from "./common.js";

/**
 * Repetitions as marks over the curves and as rows of a table, corrected by hand.
 *
 * `draw` draws all that shows them; `drawCurves` the curves alone, while a mark moves.
 */
export function repetitionEditor({ model, player, axis, draw, drawCurves }) {
  const { partOf, atPart } = axis;
  const noun = model.get("noun");
  const Noun = noun[0].toUpperCase() + noun.slice(1);
  const middle = model.get("turn"); // shown name of the key "bottom"
  const band = h("div", { class: "mobility-band", role: "group", "aria-label": `${Noun}s; drag the marks of start, ${middle} and end` });
  band.hidden = !model.get("can_correct");
  let reps = []; // what is edited: {start, bottom, end, bottom_start, bottom_end, accepted, reason, joints}
  let changed = false;
  const table = h("table", { class: "mobility-repetitions" });
  const saveReps = h("button", { type: "button", class: "mobility-main", onclick: save }, `Save ${noun}s`);
  const dropReps = h("button", { type: "button", onclick: () => { load(); } }, "Undo changes");
  const freeReps = h("button", { type: "button", onclick: () => ask(model, "save", { intervals: null }) }, "Find them again");
  const addRep = h("button", { type: "button", onclick: add }, "Add one here");
  const details = h("details", { "aria-label": `Correct the ${noun}s`, hidden: !model.get("can_correct") },
    h("summary", {}, `Correct the ${noun}s`),
    h("p", { class: "mobility-dim" }, "Drag the marks above the curves, move them with the arrow keys, or type times in seconds. When you save, all results that depend on them are computed again.",
      noun === "movement" ? " An added movement counts for every joint that moves in it." : null),
    table,
    h("div", { class: "mobility-row" }, saveReps, dropReps, addRep, freeReps));

  function load() {
    reps = model.get("repetitions").map((rep) => ({ ...rep }));
    changed = false;
    show();
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
      start: [before ? before.end : player.first, rep.bottom - gap],
      bottom: [rep.start + gap, rep.end - gap],
      end: [rep.bottom + gap, after ? after.start : player.last],
    }[which];
  }
  function moveMark(rep, which, seconds) {
    const [low, high] = limits(rep, which);
    rep[which] = Math.round(Math.max(low, Math.min(high, seconds)) * 1000) / 1000;
    touch(rep);
  }
  function add() {
    if (!player.trial) return;
    const now = player.time[player.frame];
    if (reps.some((rep) => rep.accepted && rep.start <= now && now <= rep.end)) {
      ask(model, "trouble", { text: `there is already a ${noun} at this moment; go to the ${middle} of the missing one` });
      return;
    }
    const before = reps.filter((rep) => rep.accepted && rep.end < now).pop();
    const after = reps.find((rep) => rep.accepted && rep.start > now);
    reps.push({ start: Math.max(before ? before.end : player.first, now - 1), bottom: now, end: Math.min(after ? after.start : player.last, now + 1), accepted: true, reason: "" });
    reps.sort((a, b) => a.start - b.start);
    changed = true;
    show();
  }
  function save() {
    const intervals = reps.filter((rep) => rep.accepted).map(({ start, bottom, end, joints }) => ({ start, bottom, end, ...(joints ? { joints } : {}) }));
    ask(model, "save", { intervals });
  }

  function show() {
    const width = () => band.clientWidth;
    const left = (t) => `${partOf(t) * 100}%`;
    if (!player.trial) return;
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
          drawCurves();
          player.goTo(player.frameAt(rep[which]));
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
          move(rep[which] + (by * (player.last - player.first)) / Math.max(1, player.count - 1));
        });
        marks.push(handle);
      }
    }
    // Keep the focus.
    const active = band.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    band.replaceChildren(...marks);
    if (active) marks.find((mark) => mark.getAttribute("aria-label") === active)?.focus();
    showTable();
    draw();
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
            show();
          },
        });
        return h("td", {}, box);
      });
      const act = rep.accepted
        ? h("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => { reps = reps.filter((r) => r !== rep); changed = true; show(); } }, "Remove")
        : h("button", { type: "button", "aria-label": "Accept this one", onclick: () => { rep.accepted = true; touch(rep); show(); } }, "Accept");
      return h("tr", {}, h("th", { scope: "row" }, name), ...cells, h("td", {}, act, [(rep.joints || []).join(", "), rep.reason].filter(Boolean).map((text) => ` ${text}`).join(":")));
    });
    table.replaceChildren(head, ...rows);
    if (active) [...table.querySelectorAll("input, button")].find((e) => e.getAttribute("aria-label") === active)?.focus();
  }
  /** Number of the repetition at a moment, from 1; 0 between two. */
  const numberAt = (seconds) => 1 + reps.filter((rep) => rep.accepted).findIndex((rep) => rep.start <= seconds && seconds <= rep.end);

  return { band, details, all: () => reps, load, show, showTable, numberAt };
}

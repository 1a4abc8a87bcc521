import { h } from "./common.js";

/** Marks along the time where the feet come to another place; a click goes there. */
export function stepMarks(player, axis) {
  const row = h("div", { class: "mobility-steps", role: "group", "aria-label": "Steps" });
  const at = ({ from, to }) => axis.partOf((from + to) / 2);

  function show() {
    const steps = player.trial.steps;
    row.hidden = !steps.length;
    const shown = steps.filter((step) => at(step) >= 0 && at(step) <= 1);
    row.replaceChildren(...shown.map((step, i) => {
      const mark = h("button", { type: "button", class: "mobility-step", title: step.title, onclick: () => player.goTo(player.frameAt(step.from)) }, step.title);
      const next = i + 1 < shown.length ? at(shown[i + 1]) : 1;
      mark.style.left = `${at(step) * 100}%`;
      mark.style.maxWidth = `max(16px, ${(next - at(step)) * 100}%)`;
      return mark;
    }));
  }
  return { row, show };
}

import { h } from "./common.js";

/** Marks along the time where the feet come to another place; a click goes there. */
export function stepMarks(player, axis) {
  const row = h("div", { class: "mobility-steps", role: "group", "aria-label": "Steps" });
  const at = ({ from, to }) => axis.partOf((from + to) / 2);

  function show() {
    const steps = player.trial.steps;
    row.hidden = !steps.length;
    const shown = steps.filter((step) => at(step) >= 0 && at(step) <= 1);
    // The last one stands before its mark where there is more room, and shares that with the one before.
    const before = shown.findIndex((step, i) => i === shown.length - 1 && at(step) > 0.5);
    row.replaceChildren(...shown.map((step, i) => {
      const mark = h("button", { type: "button", class: "mobility-step", title: step.title, onclick: () => player.goTo(player.frameAt(step.from)) }, step.title);
      const [low, high] = [i ? at(shown[i - 1]) : 0, i + 1 < shown.length ? at(shown[i + 1]) : 1];
      const room = i === before ? (at(step) - low) / (i ? 2 : 1) : (high - at(step)) / (i + 1 === before ? 2 : 1);
      if (i === before) mark.classList.add("mobility-before");
      if (i === before) mark.style.marginRight = `${(1 - at(step)) * 100}%`;
      else mark.style.marginLeft = `${at(step) * 100}%`;
      mark.style.maxWidth = `max(16px, ${room * 100}%)`;
      return mark;
    }));
  }
  return { row, show };
}

import { ask, h, noticeLine, root, shown } from "./common.js";

function filmCheck({ model, el }) {
  const place = root(el, "checks", "Checks of videos");
  const list = h("div", { role: "status", "aria-live": "polite" });
  place.append(list, noticeLine(model));
  const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

  function filmAgain(session) {
    ask(model, "put away", { session });
    const form = document.querySelector('[data-place="upload"]');
    form?.scrollIntoView({ behavior: "smooth", block: "start" });
    form?.querySelector("button")?.focus({ preventScroll: true });
  }
  function box({ session, title, good, film_again: isUseless, headline, reasons, view_hides: hidden, first_look: firstLook }) {
    const again = h("button", { type: "button", class: isUseless ? "mobility-main" : "", onclick: () => filmAgain(session) }, "Film again");
    const away = h("button", { type: "button", "aria-label": `Close the check of ${title}`, onclick: () => ask(model, "put away", { session }) }, "Close");
    const heading = good ? headline : isUseless ? "Film again." : "Can be used, with limits.";
    return h("div", { class: isUseless ? "mobility-check" : "mobility-check mobility-check-good" },
      h("h3", {}, title),
      h("p", {}, h("strong", {}, heading)),
      good ? null : h("ul", {}, ...reasons.map(({ why, what_to_do: does }) => h("li", {}, sentence(why), does ? ` ${does}` : ""))),
      hidden ? h("p", {}, hidden) : null,
      h("p", { class: "mobility-dim" }, firstLook),
      h("div", { class: "mobility-row" }, again, away));
  }
  const show = () => {
    list.replaceChildren(...model.get("checks").map(box));
    place.hidden = !model.get("checks").length && !model.get("progress").text && !model.get("notice").text;
  };
  model.on("change:checks change:progress change:notice", show);
  show();
  return () => model.off("change:checks change:progress change:notice", show);
}

export default shown(filmCheck);

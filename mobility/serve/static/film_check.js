// The first look at a recording, from the answer to GET .../recording-check/.
const element = (tag, text, name = "") => Object.assign(document.createElement(tag), { textContent: text, className: name });

/** Show a check in an element, with a button to film again. */
export function showCheck(place, { good, film_again: isUseless, reasons, headline, view_hides: hidden, first_look: firstLook }, filmAgain) {
  const again = element("button", "Film again", isUseless ? "main" : "");
  again.type = "button";
  again.addEventListener("click", filmAgain);
  const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1)}.`;
  const list = element("ul", "");
  list.append(...reasons.map(({ why, what_to_do: does }) => {
    const line = element("li", "");
    line.append(element("strong", sentence(why)), ` ${does}`);
    return line;
  }));
  const heading = good ? headline : isUseless ? "Film again" : "Can be used, with limits";
  const box = element("div", "", isUseless ? "check" : "check good");
  box.append(element("h2", heading), ...(good ? [] : [list]), ...(hidden ? [element("p", hidden)] : []), again, element("p", firstLook, "dim"));
  place.replaceChildren(box);
}

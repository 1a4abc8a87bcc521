// The first look at a film, of the document that GET .../recording-check/ answers with.
const element = (tag, text, name = "") => Object.assign(document.createElement(tag), { textContent: text, className: name });

/** Show a check in a place, with a button to film again. */
export function showCheck(place, { good, reasons, headline, first_look: firstLook }, filmAgain) {
  const again = element("button", "Film again", good ? "" : "main");
  again.type = "button";
  again.addEventListener("click", filmAgain);
  const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1)}.`;
  const list = element("ul", "");
  list.append(...reasons.map(({ why, what_to_do: does }) => {
    const line = element("li", "");
    line.append(element("strong", sentence(why)), ` ${does}`);
    return line;
  }));
  const box = element("div", "", good ? "check good" : "check");
  box.append(element("h2", good ? headline : "Film again"), ...(good ? [] : [list]), again, element("p", firstLook, "dim"));
  place.replaceChildren(box);
}

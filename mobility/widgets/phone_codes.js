import { ask, faultLine, guarded, h, newId, noticeLine, root, shown } from "./common.js";

function phoneCodes({ model, el }) {
  const place = root(el, "phones", "Film with a phone");
  const user = h("input", { type: "text", id: newId("user"), placeholder: "for example p01", maxlength: 64 });
  const picture = h("img", { alt: "Code to scan with the camera of a phone", width: 260, hidden: true });
  const address = h("code", { class: "mobility-address" });
  place.append(
    h("h3", {}, "Film with a phone"),
    h("div", { class: "mobility-row" },
      h("label", { for: user.id }, "Participant"), user,
      h("button", { type: "button", class: "mobility-main", onclick: () => ask(model, "code", { user_id: user.value.trim() }) }, "Show a code")),
    faultLine(model, "user_id", user),
    h("p", { class: "mobility-dim" }, `The phone must be in this network. Each code is for one phone, lasts ${model.get("hours")} hours and adds videos of this participant. With the code, the phone shows only the videos that were filmed with it and the participant’s name. Anybody who sees the code can use it.`),
    picture, address,
    noticeLine(model),
  );
  const received = guarded(model, (message) => {
    if (message.kind !== "code") return;
    picture.src = `data:image/svg+xml,${encodeURIComponent(message.picture)}`;
    picture.hidden = false;
    address.textContent = message.address;
  });
  model.on("msg:custom", received);
  return () => model.off("msg:custom", received);
}

export default shown(phoneCodes);

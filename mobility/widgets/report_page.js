function reportPage({ model, el }) {
  const place = root(el, "report", "Report");
  const name = h("h3", {});
  const link = h("a", { target: "_blank", rel: "noopener" }, "open it in a window of its own");
  const frame = h("iframe", { title: "Report", sandbox: "allow-scripts" });
  place.append(name, h("p", { class: "mobility-row" }, link), frame, noticeLine(model));
  const show = () => {
    place.hidden = !model.get("title");
    name.textContent = `Report: ${model.get("title")}`;
    if (model.get("title")) ask(model, "address", { page: pageServer() });
  };
  const received = guarded(model, (message) => {
    if (message.kind !== "address") return;
    link.href = message.url;
    frame.src = message.url;
  });
  model.on("msg:custom", received);
  model.on("change:shown", show);
  show();
  return () => model.off("msg:custom", received);
}

export default shown(reportPage);

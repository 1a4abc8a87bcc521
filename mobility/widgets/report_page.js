function reportPage({ model, el }) {
  const place = root(el, "report", "Report");
  const name = h("h3", {});
  const link = h("a", { target: "_blank", rel: "noopener" }, "open it in its own window");
  let frame = h("iframe", { title: "Report", sandbox: "allow-scripts" });
  place.append(name, h("p", { class: "mobility-row" }, link), frame, noticeLine(model));
  // A frame that goes from a text to an address loads twice, so each has its own.
  const showIn = (what) => {
    const next = h("iframe", { title: "Report", sandbox: "allow-scripts", ...what });
    frame.replaceWith(next);
    frame = next;
  };
  const entitle = (title) => {
    place.hidden = !title;
    name.textContent = `Report: ${title}`;
  };
  const show = () => {
    entitle(model.get("title"));
    if (model.get("title")) ask(model, "address", { page: pageServer() });
  };
  const received = guarded(model, (message) => {
    if (message.kind === "first page") {
      entitle(message.title);
      link.hidden = true;
      showIn({ srcdoc: message.page });
    } else if (message.kind === "address") {
      link.href = message.url;
      link.hidden = false;
      showIn({ src: message.url });
    }
  });
  model.on("msg:custom", received);
  model.on("change:shown", show);
  show();
  return () => model.off("msg:custom", received);
}

export default shown(reportPage);

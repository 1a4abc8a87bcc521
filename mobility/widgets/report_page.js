import { ask, guarded, h, noticeLine, pageServer, root, shown } from "./common.js";

function reportPage({ model, el }) {
  const place = root(el, "report", "Report");
  const name = h("h3", {});
  const link = h("a", { target: "_blank", rel: "noopener" }, "open it in its own window");
  let frame = h("iframe", { title: "Report", sandbox: "allow-scripts" });
  place.append(name, h("p", { class: "mobility-row" }, link), frame, noticeLine(model));
  // A frame that changes from a text to an address would load twice, so each page gets a new one.
  const showInFrame = (content) => {
    const next = h("iframe", { title: "Report", sandbox: "allow-scripts", ...content });
    frame.replaceWith(next);
    frame = next;
  };
  const setTitle = (title) => {
    place.hidden = !title;
    name.textContent = `Report: ${title}`;
  };
  const show = () => {
    setTitle(model.get("title"));
    if (model.get("title")) ask(model, "address", { page: pageServer() });
  };
  const received = guarded(model, (message) => {
    if (message.kind === "first page") {
      setTitle(message.title);
      link.hidden = true;
      showInFrame({ srcdoc: message.page });
    } else if (message.kind === "address") {
      link.href = message.url;
      link.hidden = false;
      showInFrame({ src: message.url });
    } else if (message.kind === "left") {
      setTitle("");
      showInFrame({});
    }
  });
  model.on("msg:custom", received);
  model.on("change:shown", show);
  show();
  return () => model.off("msg:custom", received);
}

export default shown(reportPage);

function sessionBrowser({ model, el }) {
  const place = root(el, "sessions", "Sessions");
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the sessions", oninput: () => showRows() });
  const body = h("tbody", {});
  const counted = h("span", { class: "mobility-dim", role: "status" });
  const links = h("div", { class: "mobility-row", role: "status" });
  let asked = null; // id of the session that may be deleted
  place.append(
    h("h3", {}, "Sessions"),
    h("div", { class: "mobility-row" }, filter, counted,
      h("button", { type: "button", class: "mobility-push", onclick: () => ask(model, "refresh") }, "Refresh")),
    h("div", { class: "mobility-table" },
      h("table", {},
        h("thead", {}, h("tr", {}, ...["Session", "Participant", "Exercise", "Date", "State", ""].map((text) => h("th", { scope: "col" }, text)))),
        body)),
    noticeLine(model),
    links,
  );

  function rowOf(row) {
    const runs = Boolean(model.get("progress").text);
    const button = (text, what, { disabled = false, label } = {}) =>
      h("button", { type: "button", class: "mobility-small", "aria-label": `${label || text} ${row.title}`, disabled: disabled || runs, onclick: () => ask(model, what, { session: row.id }) }, text);
    const done = row.state === "analyzed";
    const state = h("td", {}, row.said);
    if (row.reason) state.append(h("div", { class: "mobility-fault" }, row.reason));
    const main = h("tr", { "aria-selected": row.id === model.get("opened") ? "true" : "false" },
      h("td", {}, row.title, h("div", { class: "mobility-dim" }, row.id)),
      h("td", {}, row.participant), h("td", {}, row.exercise), h("td", {}, row.date), state,
      h("td", {},
        button("Open", "open"), " ",
        button("Analyse", "analyze", { disabled: done || model.get("read_only") }), " ",
        button("Report", "report", { disabled: !done }), " ",
        h("button", {
          type: "button", class: "mobility-small", "aria-label": `Delete ${row.title}`, disabled: runs || model.get("read_only"),
          onclick: () => { asked = row.id; showRows(); body.querySelector(".mobility-confirm button:last-child")?.focus(); },
        }, "Delete")));
    if (asked !== row.id) return [main];
    const confirm = h("tr", { class: "mobility-confirm" },
      h("td", { colspan: 6, role: "alertdialog", "aria-label": "Delete the session?" },
        `Delete “${row.title}” with its video, results, corrections and reports? Nothing is kept. `,
        h("button", { type: "button", class: "mobility-danger", onclick: () => { asked = null; ask(model, "delete", { session: row.id }); showRows(); } }, "Delete"), " ",
        h("button", { type: "button", onclick: () => { asked = null; showRows(); } }, "Keep")));
    confirm.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      asked = null;
      showRows();
    });
    return [main, confirm];
  }

  function showRows() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = model.get("rows");
    const found = rows.filter((row) => {
      const text = [row.title, row.id, row.participant, row.exercise, row.said, row.date].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    counted.textContent = rows.length ? `${found.length} of ${rows.length}` : "no sessions yet; take a video in first";
    body.replaceChildren(...found.flatMap(rowOf));
  }
  const received = guarded(model, (message) => {
    if (message.kind === "report")
      links.replaceChildren(
        h("span", {}, `Report of ${message.title}: `),
        h("a", { href: message.url, target: "_blank", rel: "noopener" }, "open it"),
        h("code", {}, message.path));
    else if (message.kind === "rendered") ask(model, "address", { session: message.session, page: pageServer() });
  });
  model.on("msg:custom", received);
  model.on("change:rows change:opened change:progress", showRows);
  showRows();
  return () => model.off("msg:custom", received);
}

export default shown(sessionBrowser);

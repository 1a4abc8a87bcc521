const HEADS = [["Session", "title"], ["Participant", "participant"], ["Exercise", "exercise"], ["Date", "when"], ["Recording", "rank"], ["State", "said"]];
const LIVE = ["running", "queued", "held"];
const LOOK_MS = 5000;

function sessionBrowser({ model, el }) {
  const place = root(el, "sessions", "Sessions");
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the sessions", oninput: () => showRows() });
  const body = h("tbody", {});
  const counted = h("span", { class: "mobility-dim", role: "status" });
  const links = h("div", { class: "mobility-row", role: "status" });
  let asked = null; // id of the session that may be deleted
  let order = { by: "when", down: true };
  const heads = HEADS.map(([text, by]) => {
    const head = h("th", { scope: "col" },
      h("button", { type: "button", class: "mobility-sort", onclick: () => { order = { by, down: order.by === by ? !order.down : by === "when" }; showRows(); } }, text));
    return { head, by };
  });
  place.append(
    h("h3", {}, "Sessions"),
    h("div", { class: "mobility-row" }, filter, counted,
      h("button", { type: "button", class: "mobility-push", onclick: () => ask(model, "refresh") }, "Refresh")),
    h("div", { class: "mobility-table" },
      h("table", {},
        h("thead", {}, h("tr", {}, h("td", {}), ...heads.map(({ head }) => head), h("td", {}))),
        body)),
    noticeLine(model),
    links,
  );

  // Pictures, of what is in sight, one after the other

  const pictures = new Map(); // address of the picture by session; "" while it is awaited, null for none
  const wanted = [];
  let awaited = null;
  const sight = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen)
      if (isIntersecting && !pictures.has(target.dataset.session) && !wanted.includes(target.dataset.session)) wanted.push(target.dataset.session);
    askPicture();
  });
  function askPicture() {
    if (awaited || !wanted.length) return;
    awaited = wanted.shift();
    ask(model, "thumbnail", { session: awaited });
  }
  function pictureOf(row) {
    const cell = h("td", { class: "mobility-thumbnail", "data-session": row.id });
    const url = pictures.get(row.id);
    if (url) cell.append(h("img", { src: url, alt: "" }));
    else if (url === undefined) sight.observe(cell);
    return cell;
  }

  function rowOf(row) {
    const live = LIVE.includes(row.state);
    // While the session is being worked on they do nothing, but keep the focus of who pressed one by keyboard.
    const act = (text, onclick, { disabled = false, waits = false, label } = {}) =>
      h("button", { type: "button", class: "mobility-small", "aria-label": `${label || text} ${row.title}`, disabled, "aria-disabled": waits ? "true" : null, onclick: () => waits || onclick() }, text);
    const button = (text, what, options) => act(text, () => ask(model, what, { session: row.id }), options);
    const done = row.state === "analyzed";
    const damaged = row.state === "damaged"; // it can only be deleted
    const state = h("td", {}, row.said);
    if (row.reason) state.append(h("div", { class: "mobility-fault" }, row.reason));
    const warnings = row.warnings || [];
    if (warnings.length)
      state.append(h("details", { "aria-label": `Warnings of ${row.title}` }, h("summary", {}, warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`),
        ...warnings.map((text) => h("p", {}, text))));
    const main = h("tr", { "aria-selected": row.id === model.get("opened") ? "true" : "false" },
      pictureOf(row),
      h("td", {}, row.title, h("div", { class: "mobility-dim" }, row.id)),
      h("td", {}, row.participant), h("td", {}, row.exercise), h("td", {}, ...row.date.split(/(?<=,) /).flatMap((part) => [h("span", { class: "mobility-date" }, part), " "])), h("td", {}, row.verdict), state,
      h("td", {},
        button("Open", "open", { disabled: damaged }), " ",
        model.get("can_compare") ? [button("Beside", "compare", { label: "Show beside the open one:", disabled: damaged }), " "] : null,
        button("Analyse", "analyze", { disabled: done || damaged || model.get("read_only"), waits: row.busy || live }), " ",
        button("Report", "report", { disabled: !done, waits: row.busy }), " ",
        act("Delete", () => { asked = row.id; showRows(); body.querySelector(".mobility-confirm button:last-child")?.focus(); }, { disabled: model.get("read_only"), waits: row.busy })));
    if (asked !== row.id) return [main];
    const keep = () => {
      asked = null;
      showRows();
      focusOn(`Delete ${row.title}`);
    };
    const confirm = h("tr", { class: "mobility-confirm" },
      h("td", { colspan: 8, role: "alertdialog", "aria-label": "Delete the session?" },
        `Delete “${row.title}” with its video, results, corrections and reports? This cannot be undone. `,
        h("button", { type: "button", class: "mobility-danger", onclick: () => { asked = null; ask(model, "delete", { session: row.id }); showRows(); filter.focus(); } }, "Delete"), " ",
        h("button", { type: "button", onclick: keep }, "Keep")));
    confirm.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      keep();
    });
    return [main, confirm];
  }
  /** Focus what has this label; where it is for nothing now, what stands beside it. */
  function focusOn(label) {
    const found = [...body.querySelectorAll("[aria-label]")].find((each) => each.getAttribute("aria-label") === label);
    (found?.querySelector("summary") || (found?.disabled ? found.closest("tr").querySelector("button:enabled") : found))?.focus();
  }

  function showRows() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = model.get("rows");
    const found = rows.filter((row) => {
      const text = [row.title, row.id, row.participant, row.exercise, row.verdict, row.said, row.date].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const { by, down } = order;
    const compare = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    found.sort((a, b) => (down ? -1 : 1) * compare(a[by], b[by]));
    for (const each of heads) each.head.setAttribute("aria-sort", each.by !== by ? "none" : down ? "descending" : "ascending");
    counted.textContent = rows.length ? `${found.length} of ${rows.length}` : "no sessions yet; add a video first";
    // Where the keyboard was, and what was open, stays.
    const active = body.contains(document.activeElement) ? document.activeElement.closest("[aria-label]:not(section)")?.getAttribute("aria-label") : null;
    const open = [...body.querySelectorAll("details[open]")].map((each) => each.closest("tr").querySelector("[data-session]").dataset.session);
    sight.disconnect();
    body.replaceChildren(...found.flatMap(rowOf));
    for (const id of open) {
      const details = [...body.querySelectorAll("[data-session]")].find((each) => each.dataset.session === id)?.closest("tr").querySelector("details");
      if (details) details.open = true;
    }
    if (active) focusOn(active);
  }
  const received = guarded(model, (message, buffers) => {
    if (message.kind === "report")
      links.replaceChildren(
        h("span", {}, `Report of ${message.title}: `),
        h("a", { href: message.url, target: "_blank", rel: "noopener" }, "open it"),
        h("code", {}, message.path));
    else if (message.kind === "rendered") ask(model, "address", { session: message.session, page: pageServer() });
    else if (message.kind === "looked") looks = false;
    else if (message.kind === "thumbnail") {
      const picture = buffers?.[0];
      const url = picture ? URL.createObjectURL(new Blob([picture], { type: "image/jpeg" })) : null;
      pictures.set(message.session, url);
      if (url) for (const cell of body.querySelectorAll(".mobility-thumbnail"))
        if (cell.dataset.session === message.session) cell.replaceChildren(h("img", { src: url, alt: "" }));
      if (awaited === message.session) awaited = null;
      askPicture();
    }
  });
  // What runs elsewhere tells nobody here: somebody has to look. A kernel that is at work answers later.
  let looks = false;
  const looking = setInterval(() => {
    const may = model.get("place") || model.get("rows").some((row) => !["analyzed", "damaged"].includes(row.state));
    if (!may || document.hidden || asked || looks) return;
    looks = true;
    ask(model, "look");
  }, LOOK_MS);
  model.on("msg:custom", received);
  model.on("change:rows change:opened change:can_compare", showRows);
  showRows();
  return () => {
    clearInterval(looking);
    sight.disconnect();
    model.off("msg:custom", received);
    for (const url of pictures.values()) if (url) URL.revokeObjectURL(url);
  };
}

export default shown(sessionBrowser);

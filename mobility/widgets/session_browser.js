import { ask, guarded, h, noticeLine, pageServer, root, shown } from "./common.js";

const HEADS = [["Session", "title"], ["Participant", "participant"], ["Exercise", "exercise"], ["Date", "when"], ["Recording", "rank"], ["State", "state_text"]];
const LIVE = ["running", "queued", "held"];
const POLL_MS = 5000;

function sessionBrowser({ model, el }) {
  const place = root(el, "sessions", "Sessions");
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the sessions", oninput: () => showRows() });
  const body = h("tbody", {});
  const count = h("span", { class: "mobility-dim", role: "status" });
  const links = h("div", { class: "mobility-row", role: "status" });
  let linked = null; // id of the session whose report is named below the table
  let confirming = null; // id of the session whose deletion is to be confirmed
  let order = { by: "when", down: true };
  const heads = HEADS.map(([text, by]) => {
    const head = h("th", { scope: "col" },
      h("button", { type: "button", class: "mobility-sort", onclick: () => { order = { by, down: order.by === by ? !order.down : by === "when" }; showRows(); } }, text));
    return { head, by };
  });
  place.append(
    h("h3", {}, "Sessions"),
    h("div", { class: "mobility-row" }, filter, count,
      h("button", { type: "button", class: "mobility-push", onclick: () => ask(model, "refresh") }, "Refresh")),
    h("div", { class: "mobility-table" },
      h("table", {},
        h("thead", {}, h("tr", {}, h("td", {}), ...heads.map(({ head }) => head), h("td", {}))),
        body)),
    noticeLine(model),
    links,
  );

  // Pictures of the visible rows, one after another

  const pictures = new Map(); // URL by session; null for a session without a picture
  const queuedPictures = [];
  let requestedPicture = null;
  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting && !pictures.has(target.dataset.session) && !queuedPictures.includes(target.dataset.session)) queuedPictures.push(target.dataset.session);
    askPicture();
  });
  function askPicture() {
    if (requestedPicture || !queuedPictures.length) return;
    requestedPicture = queuedPictures.shift();
    ask(model, "thumbnail", { session: requestedPicture });
  }
  function pictureCell(row) {
    const cell = h("td", { class: "mobility-thumbnail", "data-session": row.id });
    const url = pictures.get(row.id);
    if (url) cell.append(h("img", { src: url, alt: "" }));
    else if (url === undefined) sight.observe(cell);
    return cell;
  }

  function rowsOf(row) {
    const live = LIVE.includes(row.state);
    // Buttons that wait do nothing, but keep the keyboard's focus.
    const action = (text, onclick, { disabled = false, waits = false, label } = {}) =>
      h("button", { type: "button", class: "mobility-small", "aria-label": `${label || text} ${row.title}`, disabled, "aria-disabled": waits ? "true" : null, onclick: () => waits || onclick() }, text);
    const button = (text, what, options) => action(text, () => ask(model, what, { session: row.id }), options);
    const done = row.state === "analyzed";
    const damaged = row.state === "damaged"; // can only be deleted
    const state = h("td", {}, row.state_text);
    if (row.reason) state.append(h("div", { class: "mobility-fault" }, row.reason));
    const warnings = row.warnings || [];
    if (warnings.length)
      state.append(h("details", { "aria-label": `Warnings of ${row.title}` }, h("summary", {}, warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`),
        ...warnings.map((text) => h("p", {}, text))));
    const main = h("tr", { "aria-selected": row.id === model.get("opened") ? "true" : "false" },
      pictureCell(row),
      h("td", {}, row.title, h("div", { class: "mobility-dim" }, row.id)),
      h("td", {}, row.participant), h("td", {}, row.exercise), h("td", {}, ...row.date.split(/(?<=,) /).flatMap((part) => [h("span", { class: "mobility-date" }, part), " "])), h("td", {}, row.verdict), state,
      h("td", {},
        button("Open", "open", { disabled: damaged }), " ",
        model.get("can_compare") ? [button("Beside", "compare", { label: "Show beside the open one:", disabled: damaged }), " "] : null,
        button("Analyse", "analyze", { disabled: done || damaged || model.get("read_only"), waits: row.busy || live }), " ",
        button("Report", "report", { disabled: !done, waits: row.busy }), " ",
        action("Delete", () => { confirming = row.id; showRows(); body.querySelector(".mobility-confirm button:last-child")?.focus(); }, { disabled: model.get("read_only"), waits: row.busy })));
    if (confirming !== row.id) return [main];
    const keep = () => {
      confirming = null;
      showRows();
      focusOn(`Delete ${row.title}`);
    };
    const confirm = h("tr", { class: "mobility-confirm" },
      h("td", { colspan: 8, role: "alertdialog", "aria-label": "Delete the session?" },
        `Delete “${row.title}” with its video, results, corrections and reports? This cannot be undone. `,
        h("button", { type: "button", class: "mobility-danger", onclick: () => { confirming = null; ask(model, "delete", { session: row.id }); showRows(); filter.focus(); } }, "Delete"), " ",
        h("button", { type: "button", onclick: keep }, "Keep")));
    confirm.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      keep();
    });
    return [main, confirm];
  }
  /** Focus the element with this label or, if it is disabled, an enabled button of its row. */
  function focusOn(label) {
    const target = [...body.querySelectorAll("[aria-label]")].find((each) => each.getAttribute("aria-label") === label);
    (target?.querySelector("summary") || (target?.disabled ? target.closest("tr").querySelector("button:enabled") : target))?.focus();
  }

  function showRows() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = model.get("rows");
    if (linked && !rows.some((row) => row.id === linked)) {
      linked = null;
      links.replaceChildren();
    }
    const matching = rows.filter((row) => {
      const text = [row.title, row.id, row.participant, row.exercise, row.verdict, row.state_text, row.date].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const { by, down } = order;
    const compare = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    matching.sort((a, b) => (down ? -1 : 1) * compare(a[by], b[by]));
    for (const each of heads) each.head.setAttribute("aria-sort", each.by !== by ? "none" : down ? "descending" : "ascending");
    count.textContent = rows.length ? `${matching.length} of ${rows.length}` : "no sessions yet; add a video first";
    // Keep the focus, and open details open.
    const active = body.contains(document.activeElement) ? document.activeElement.closest("[aria-label]:not(section)")?.getAttribute("aria-label") : null;
    const open = [...body.querySelectorAll("details[open]")].map((each) => each.closest("tr").querySelector("[data-session]").dataset.session);
    sight.disconnect();
    body.replaceChildren(...matching.flatMap(rowsOf));
    for (const id of open) {
      const details = [...body.querySelectorAll("[data-session]")].find((each) => each.dataset.session === id)?.closest("tr").querySelector("details");
      if (details) details.open = true;
    }
    if (active) focusOn(active);
  }
  const received = guarded(model, (message, buffers) => {
    if (message.kind === "report") {
      linked = message.session;
      links.replaceChildren(
        h("span", {}, `Report of ${message.title}: `),
        h("a", { href: message.url, target: "_blank", rel: "noopener" }, "open it"),
        h("code", {}, message.path));
    } else if (message.kind === "rendered") ask(model, "address", { session: message.session, page: pageServer() });
    else if (message.kind === "looked") polling = false;
    else if (message.kind === "thumbnail") {
      const picture = buffers?.[0];
      const url = picture ? URL.createObjectURL(new Blob([picture], { type: "image/jpeg" })) : null;
      pictures.set(message.session, url);
      if (url) for (const cell of body.querySelectorAll(".mobility-thumbnail"))
        if (cell.dataset.session === message.session) cell.replaceChildren(h("img", { src: url, alt: "" }));
      if (requestedPicture === message.session) requestedPicture = null;
      askPicture();
    }
  });
  // Work elsewhere sends no news, so the page polls; a busy kernel answers later.
  let polling = false;
  const pollTimer = setInterval(() => {
    const isNeeded = model.get("place") || model.get("rows").some((row) => !["analyzed", "damaged"].includes(row.state));
    if (!isNeeded || document.hidden || confirming || polling) return;
    polling = true;
    ask(model, "look");
  }, POLL_MS);
  model.on("msg:custom", received);
  model.on("change:rows change:opened change:can_compare", showRows);
  showRows();
  return () => {
    clearInterval(pollTimer);
    sight.disconnect();
    model.off("msg:custom", received);
    for (const url of pictures.values()) if (url) URL.revokeObjectURL(url);
  };
}

export default shown(sessionBrowser);

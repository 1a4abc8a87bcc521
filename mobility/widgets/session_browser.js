import { ask, guarded, h, newId, noticeLine, pageServer, root, shown } from "./common.js";

const HEADS = [["Session", "name"], ["Participant", "participant"], ["Exercise", "exercise"], ["Date", "when"], ["Recording", "rank"], ["State", "state_text"]];
const VIEWS = [["people", "Participants"], ["sessions", "All sessions"]];
const LIVE = ["running", "queued", "held"];
const POLL_MS = 5000;
// What is drawn at first; the rest when it is asked for.
const MOST = { people: 12, sessions: 50, apart: 4 };
const GOOD = 3; // rank of a good recording; 0 and 1 are good for nothing

function sessionBrowser({ model, el }) {
  const place = root(el, "sessions", "Participants and sessions");
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search participants and sessions", oninput: () => { showAll = new Set(); draw(); } });
  const count = h("span", { class: "mobility-dim", role: "status" });
  const links = h("div", { class: "mobility-row", role: "status" });
  const title = h("h3", {});
  const content = h("div", {});
  let askedVisit = false; // the page of a visit was asked for here, not in another window
  let linked = null; // id of the session whose report is named below
  let confirming = null; // id of the session whose deletion is to be confirmed
  let order = { by: "when", down: true };
  let showAll = new Set(); // lists that are drawn as a whole
  const open = new Set(); // what was unfolded, by its key
  const views = VIEWS.map(([view, text]) => h("button", { type: "button", "data-view": view, onclick: () => {
    model.set("view", view);
    model.save_changes();
  } }, text));
  place.append(
    title,
    h("div", { class: "mobility-row" },
      h("div", { class: "mobility-views", role: "group", "aria-label": "What is listed" }, ...views),
      search, count,
      h("button", { type: "button", class: "mobility-push", onclick: () => ask(model, "refresh") }, "Refresh")),
    content, noticeLine(model), links,
  );

  // Stills of what is in sight, one after another

  const stills = new Map(); // URL by session; null for a session without a still
  const queuedStills = [];
  let requestedStill = null;
  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting && !stills.has(target.dataset.session) && !queuedStills.includes(target.dataset.session)) queuedStills.push(target.dataset.session);
    askStill();
  });
  function askStill() {
    if (requestedStill || !queuedStills.length) return;
    requestedStill = queuedStills.shift();
    ask(model, "still", { session: requestedStill });
  }
  function still(tag, row) {
    const cell = h(tag, { class: "mobility-still", "data-session": row.id });
    const url = stills.get(row.id);
    if (url) cell.append(h("img", { src: url, alt: "" }));
    else if (url === undefined) sight.observe(cell);
    return cell;
  }

  // What can be done with a session

  /** A button; one that waits does nothing, but keeps the keyboard's focus. */
  function action(row, text, onclick, { disabled = false, waits = false, label } = {}) {
    return h("button", { type: "button", class: "mobility-small", "data-key": `${text} ${row.id}`, "aria-label": `${label || text} ${row.name}`, disabled, "aria-disabled": waits ? "true" : null, onclick: () => waits || onclick() }, text);
  }
  function actionsOn(row) {
    const done = row.state === "analyzed";
    const damaged = row.state === "damaged"; // can only be deleted
    const asking = (text, what, options) => action(row, text, () => ask(model, what, { session: row.id }), options);
    return {
      report: asking("Report", "report", { disabled: !done, waits: row.busy }),
      open: asking("Open", "open", { disabled: damaged }),
      beside: model.get("can_compare") ? asking("Beside", "compare", { label: "Show beside the open one:", disabled: damaged }) : null,
      analyze: asking("Analyse", "analyze", { disabled: done || damaged || model.get("read_only"), waits: row.busy || LIVE.includes(row.state) }),
      delete: action(row, "Delete", () => {
        confirming = row.id;
        draw();
        content.querySelector(".mobility-confirm button:last-child")?.focus();
      }, { disabled: model.get("read_only"), waits: row.busy }),
    };
  }
  function confirmation(tag, row, attributes = {}) {
    const keep = () => {
      confirming = null;
      draw();
      focusOn(`Delete ${row.id}`);
    };
    const asked = h(tag, { class: "mobility-confirm", role: "alertdialog", "aria-label": "Delete the session?", ...attributes },
      `Delete “${row.name}” with its video, results, corrections and reports? This cannot be undone. `,
      h("button", { type: "button", class: "mobility-danger", onclick: () => {
        confirming = null;
        ask(model, "delete", { session: row.id });
        draw();
        search.focus();
      } }, "Delete"), " ",
      h("button", { type: "button", onclick: keep }, "Keep"));
    asked.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      keep();
    });
    return asked;
  }
  /** Something to be unfolded, which stays so when the list is drawn anew. */
  function unfolded(key, label, summary, ...children) {
    return h("details", { "aria-label": label, open: open.has(key), ontoggle: ({ target }) => (target.open ? open.add(key) : open.delete(key)) },
      h("summary", { "data-key": key }, summary), ...children);
  }
  function warningsOf(row) {
    const warnings = row.warnings || [];
    if (!warnings.length) return null;
    return unfolded(`warnings ${row.id}`, `Warnings of ${row.name}`, warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`, ...warnings.map((text) => h("p", {}, text)));
  }
  const reasonOf = (row) => (row.reason ? h("div", { class: "mobility-fault" }, row.reason) : null);

  // The table of all sessions

  const heads = HEADS.map(([text, by]) => ({
    by,
    head: h("th", { scope: "col" }, h("button", { type: "button", class: "mobility-sort", onclick: () => {
      order = { by, down: order.by === by ? !order.down : by === "when" };
      draw();
    } }, text)),
  }));
  const body = h("tbody", {});
  const table = h("div", { class: "mobility-table" },
    h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), ...heads.map(({ head }) => head), h("td", {}))), body));
  const moreSessions = h("div", {});
  function drawTable(rows) {
    const { by, down } = order;
    const compare = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    rows.sort((a, b) => (down ? -1 : 1) * compare(a[by], b[by]));
    for (const each of heads) each.head.setAttribute("aria-sort", each.by !== by ? "none" : down ? "descending" : "ascending");
    body.replaceChildren(...firstOf("sessions", rows).flatMap((row) => {
      const { report, open: opening, beside, analyze, delete: deletion } = actionsOn(row);
      const main = h("tr", { "data-row": row.id, "aria-selected": row.id === model.get("opened") ? "true" : "false" },
        still("td", row),
        h("td", { title: row.id }, row.name),
        h("td", {}, row.participant), h("td", {}, row.exercise),
        h("td", {}, ...row.date.split(/(?<=,) /).flatMap((part) => [h("span", { class: "mobility-date" }, part), " "])),
        h("td", {}, row.verdict), h("td", {}, row.state_text, reasonOf(row) || "", warningsOf(row) || ""),
        h("td", {}, ...[opening, beside, analyze, report, deletion].flatMap((each) => (each ? [each, " "] : []))));
      return confirming === row.id ? [main, h("tr", {}, confirmation("td", row, { colspan: 8 }))] : [main];
    }));
    moreSessions.replaceChildren(...moreOf("sessions", rows, "sessions"));
    if (!table.isConnected) content.replaceChildren(table, moreSessions);
    return rows.length;
  }

  // Participants with their visits

  function film(row) {
    const { report, open: opening, beside, analyze, delete: deletion } = actionsOn(row);
    const done = row.state === "analyzed";
    const judged = row.rank === GOOD ? "mobility-done" : row.rank < 2 ? "mobility-fault" : "";
    const more = unfolded(`more ${row.id}`, `More of ${row.name}`, "More",
      h("div", { class: "mobility-row" }, beside, deletion),
      h("div", { class: "mobility-dim" }, `${row.date}, session ${row.id}`), warningsOf(row));
    return h("li", { class: "mobility-film", "data-row": row.id, "aria-current": row.id === model.get("opened") ? "true" : null },
      still("div", row),
      h("div", {},
        h("div", { class: "mobility-called" }, row.exercise || row.state_text),
        h("div", { class: "mobility-dim mobility-short", title: row.name }, row.name),
        row.visit ? null : h("div", { class: "mobility-dim" }, row.day),
        done ? h("div", { class: judged }, row.verdict || row.state_text) : row.exercise ? h("div", {}, row.state_text) : null,
        reasonOf(row),
        h("div", { class: "mobility-row" }, done ? report : analyze, opening, more)),
      confirming === row.id ? confirmation("div", row) : null);
  }
  function visit(person, { date, day, rows }) {
    return h("div", { class: "mobility-visit" },
      h("h5", { "data-participant": person.id, "data-visit": date }, day,
        rows.some((row) => row.state === "analyzed") ? h("button", {
          type: "button", "data-key": `visit ${person.id} ${date}`, "aria-label": `Page of the visit of ${person.name}, ${day}`,
          onclick: () => {
            askedVisit = true;
            ask(model, "visit", { participant: person.id, date, page: pageServer() });
          } }, "Page") : null),
      h("ul", {}, ...rows.map(film)));
  }
  function group(name, id, ...children) {
    const head = h("h4", { id: newId("person") }, name, id && id !== name ? h("span", { class: "mobility-dim" }, ` ${id}`) : null);
    return h("div", { class: "mobility-person", "data-person": id || null, role: "group", "aria-labelledby": head.id }, head, ...children);
  }
  function ofPerson(person) {
    const [last, ...earlier] = person.visits;
    const key = `earlier ${person.id}`;
    const isOpen = open.has(key);
    return group(person.name, person.id,
      earlier.length ? h("button", {
        type: "button", class: "mobility-plain", "data-key": `course ${person.id}`, "aria-label": `Course of ${person.name}`,
        onclick: () => {
          askedVisit = true;
          ask(model, "course", { participant: person.id, page: pageServer() });
        } }, "All visits over time") : null,
      visit(person, last),
      earlier.length ? h("button", { type: "button", class: "mobility-plain", "data-key": key, "aria-expanded": isOpen ? "true" : "false", onclick: () => {
        if (isOpen) open.delete(key); else open.add(key);
        draw();
      } }, `${earlier.length === 1 ? "1 earlier visit" : `${earlier.length} earlier visits`}: ${earlier.slice(0, 3).map(({ day }) => day).join(", ")}${earlier.length > 3 ? ", …" : ""}`) : null,
      ...(isOpen ? earlier.map((each) => visit(person, each)) : []));
  }
  function ofNobody(rows) {
    return group("Without a participant", "",
      h("div", { class: "mobility-visit" }, h("span", {}), h("ul", {}, ...firstOf("apart", rows).map(film))),
      ...moreOf("apart", rows, "videos"));
  }
  function drawPeople(rows) {
    const people = new Map();
    const apart = rows.filter((row) => !row.visit);
    for (const row of rows) {
      if (!row.visit) continue;
      if (!people.has(row.user_id)) people.set(row.user_id, { id: row.user_id, name: row.participant, when: row.when, visits: new Map() });
      const { visits } = people.get(row.user_id);
      if (!visits.has(row.visit)) visits.set(row.visit, { date: row.visit, day: row.day, rows: [] });
      visits.get(row.visit).rows.unshift(row); // the newest came first; in a visit they stand as they were filmed
    }
    const listed = [...people.values()].map((person) => ({ ...person, visits: [...person.visits.values()].sort((a, b) => (a.date < b.date ? 1 : -1)) }));
    const shownPeople = firstOf("people", listed);
    const drawn = shownPeople.map((person) => [person.when, ofPerson(person)]);
    // Films of nobody named stand where the newest of them belongs.
    if (apart.length) drawn.push([apart[0].when || 0, ofNobody(apart)]);
    drawn.sort(([a], [b]) => b - a);
    content.replaceChildren(...drawn.map(([, each]) => each), ...moreOf("people", listed, "participants"));
    return listed.length;
  }

  const firstOf = (list, all) => (showAll.has(list) ? all : all.slice(0, MOST[list]));
  function moreOf(list, all, what) {
    if (showAll.has(list) || all.length <= MOST[list]) return [];
    const parts = { people: "[data-person]", sessions: "[data-row]", apart: ".mobility-person:not([data-person]) [data-row]" };
    return [h("button", { type: "button", class: "mobility-plain", "data-key": `all ${list}`, onclick: () => {
      showAll.add(list);
      draw();
      content.querySelectorAll(parts[list])[MOST[list]]?.querySelector("button:enabled")?.focus(); // the first that is new
    } }, `Show ${all.length - MOST[list]} more ${what}`)];
  }

  /** Focus what has this key or, if it is disabled or gone, an enabled button of its session. */
  function focusOn(key) {
    const target = [...content.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
    (target?.disabled ? target.closest("[data-row]").querySelector("button:enabled") : target)?.focus();
  }

  function draw() {
    const view = model.get("view");
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = model.get("rows");
    if (linked && !rows.some((row) => row.id === linked)) {
      linked = null;
      links.replaceChildren();
    }
    const matches = (row) => {
      const text = [row.name, row.id, row.participant, row.user_id, row.exercise, row.verdict, row.state_text, row.date].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const active = content.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    sight.disconnect();
    title.textContent = Object.fromEntries(VIEWS)[view];
    for (const each of views) each.setAttribute("aria-pressed", each.dataset.view === view ? "true" : "false");
    if (view === "people") {
      // Of a visit that one film matches all are shown.
      const visits = new Set(rows.filter((row) => row.visit && matches(row)).map((row) => `${row.visit} ${row.user_id}`));
      const listed = drawPeople(rows.filter((row) => (row.visit ? visits.has(`${row.visit} ${row.user_id}`) : matches(row))));
      const all = new Set(rows.filter((row) => row.visit).map((row) => row.user_id)).size;
      count.textContent = rows.length ? `${listed} of ${all} participant${all === 1 ? "" : "s"}` : "nobody yet; add a video first";
    } else {
      const listed = drawTable(rows.filter(matches));
      count.textContent = rows.length ? `${listed} of ${rows.length} session${rows.length === 1 ? "" : "s"}` : "no sessions yet; add a video first";
    }
    if (active) focusOn(active);
  }
  const received = guarded(model, (message, buffers) => {
    if (message.kind === "report") {
      linked = message.session;
      links.replaceChildren(
        h("span", {}, `Report of ${message.name}: `),
        h("a", { href: message.url, target: "_blank", rel: "noopener" }, "open it"),
        h("code", {}, message.path));
    } else if (message.kind === "visit") {
      linked = null;
      links.replaceChildren(
        h("span", {}, `Visit of ${message.participant}, ${message.date}: `),
        h("a", { href: message.url, target: "_blank", rel: "noopener" }, "open it"),
        h("code", {}, message.path));
      if (askedVisit) { // the list may be longer than the window
        links.scrollIntoView({ behavior: "smooth", block: "center" });
        links.querySelector("a").focus({ preventScroll: true });
      }
      askedVisit = false;
    } else if (message.kind === "rendered") ask(model, "address", { session: message.session, page: pageServer() });
    else if (message.kind === "looked") polling = false;
    else if (message.kind === "still") {
      const picture = buffers?.[0];
      const url = picture ? URL.createObjectURL(new Blob([picture], { type: "image/jpeg" })) : null;
      stills.set(message.session, url);
      if (url) for (const cell of content.querySelectorAll(".mobility-still"))
        if (cell.dataset.session === message.session) cell.replaceChildren(h("img", { src: url, alt: "" }));
      if (requestedStill === message.session) requestedStill = null;
      askStill();
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
  model.on("change:rows change:view change:opened change:can_compare", draw);
  draw();
  return () => {
    clearInterval(pollTimer);
    sight.disconnect();
    model.off("msg:custom", received);
    for (const url of stills.values()) if (url) URL.revokeObjectURL(url);
  };
}

export default shown(sessionBrowser);

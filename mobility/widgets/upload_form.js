import { ask, faultLine, guarded, h, newId, noticeLine, root, shown } from "./common.js";

const ACCEPTED = "video/*,.mkv,.mov,.mp4,.avi,.webm";

function uploadForm({ model, el }) {
  const place = root(el, "upload", "Add videos");
  const size = (bytes) =>
    bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
  const ofPerson = model.get("options").filter((option) => option.of_person);
  const ofFilm = model.get("options").filter((option) => !option.of_person);
  let films = []; // what is to be added, a card each
  let upload = null; // id of the file that is being sent
  const page = newId("page");
  let begun = null; // films and participant that are being added from here, not from another view of this form

  const field = (name, options = {}) => h("input", { type: "text", id: newId(name), ...options });
  const labelled = (text, control, ...below) => h("div", { class: "mobility-field" }, h("label", { for: control.id }, text), h("div", {}, control, ...below));
  const help = (text) => h("div", { class: "mobility-dim" }, text);

  // The one place for films

  const pick = h("input", { type: "file", accept: ACCEPTED, multiple: true, hidden: true, "aria-label": "Videos", onchange: () => {
    take(pick.files);
    pick.value = "";
  } });
  const choose = h("button", { type: "button", onclick: () => pick.click() }, "Choose videos");
  const drop = h("div", { class: "mobility-drop" }, choose, pick, " ",
    h("span", {}, "or drop them here. Videos that are added together belong to one visit."), " ",
    h("span", { class: "mobility-dim" }, `At most ${size(model.get("most_bytes"))} each.`));
  // On the page of its own a film may be dropped anywhere; else the browser would leave the page and play it.
  const target = model.get("place") ? document : place;
  const dropping = {
    dragover: (event) => { event.preventDefault(); drop.classList.add("mobility-over"); },
    dragleave: () => drop.classList.remove("mobility-over"),
    drop: (event) => {
      event.preventDefault();
      drop.classList.remove("mobility-over");
      if (event.dataTransfer?.files.length) take(event.dataTransfer.files);
    },
  };
  for (const [kind, act] of Object.entries(dropping)) target.addEventListener(kind, act);

  // Films

  const cards = h("div", {});
  function take(files) {
    next.hidden = true;
    const taken = [...files].map((file) => newFilm(file));
    films.push(...taken);
    cards.append(...taken.map(({ card }) => card));
    showState();
    taken[0]?.card.querySelector("input")?.focus();
  }
  function leave(film) {
    films = films.filter((each) => each !== film);
    release(film);
    film.card.remove();
    showState();
  }
  /** Have the browser read the film no more, and only then forget its address. */
  function release(film) {
    const address = film.preview.src;
    for (const video of film.card.querySelectorAll("video")) {
      video.removeAttribute("src");
      video.load();
    }
    URL.revokeObjectURL(address);
  }
  function newFilm(file) {
    const film = { file, second: null, number: -1, fields: {}, faults: {} };
    const faults = (name, control) => faultLine(model, () => `${name}-${film.number}`, control);

    // Which exercise, by its drawing
    const group = newId("exercise");
    const tiles = model.get("exercises").map(({ name, drawing }) => {
      const radio = h("input", { type: "radio", name: group, value: name, onchange: showMovement });
      // The part of the drawing that is called so: what the phone sees.
      const picture = drawing ? h("img", { alt: "", src: `data:image/svg+xml,${encodeURIComponent(drawing)}#seen` }) : null;
      return { radio, tile: h("label", { class: "mobility-tile" }, radio, picture, h("span", {}, name)) };
    });
    const exercise = () => tiles.find(({ radio }) => radio.checked)?.radio.value || "";
    const exercises = h("fieldset", { class: "mobility-tiles" }, h("legend", {}, "Exercise"), ...tiles.map(({ tile }) => tile));

    // Of single joints, which movement
    const shownAs = Object.fromEntries(model.get("movements").map((each) => [each.name, each]));
    const movement = h("select", { id: newId("movement"), onchange: showMovement },
      h("option", { value: "" }, "found in the video"),
      ...model.get("movements").map((each) => h("option", { value: each.name }, each.label)));
    const drawing = h("img", { alt: "", hidden: true });
    const how = help("");
    const movements = labelled("Movement", movement, drawing, how, faults("movement", movement));
    const joints = model.get("joints").map((joint) => {
      const box = h("input", { type: "checkbox", value: joint });
      box.checked = model.get("checked_joints").includes(joint);
      return box;
    });
    const jointBox = h("fieldset", { class: "mobility-choice", "aria-label": "Joints" }, ...joints.map((box) => h("label", {}, box, box.value)));
    const jointRow = h("div", { class: "mobility-field" }, h("span", {}, "Joints"), h("div", {}, jointBox, faults("body_joint_angles", jointBox)));
    function showMovement() {
      const isOfJoints = exercise() === model.get("of_single_joints");
      const chosen = isOfJoints ? shownAs[movement.value] : null;
      movements.hidden = !isOfJoints;
      jointRow.hidden = !isOfJoints || Boolean(chosen);
      drawing.hidden = !chosen;
      if (chosen) {
        drawing.src = `data:image/svg+xml,${encodeURIComponent(chosen.drawing)}`;
        drawing.alt = `${chosen.label}: what the camera sees, and where it stands`;
      }
      how.textContent = chosen ? chosen.film : "";
    }

    // More, which a first result does not need
    const title = field("name", { placeholder: file.name });
    const second = h("input", { type: "file", id: newId("second"), accept: ACCEPTED, onchange: () => { film.second = second.files[0] || null; } });
    const options = ofFilm.map(({ name, label, help: text }) => {
      const control = film.fields[name] = field(name, { placeholder: "optional" });
      return labelled(label, control, help(text), faults(name, control), ...(name === "subject" ? [pointing(film)] : []));
    });
    const more = h("details", { "aria-label": `More on ${file.name}` }, h("summary", {}, "More"),
      labelled("Title", title, faults("session_name", title)),
      labelled("Second video", second, help("The same movement from another camera."), faults("second_video", second)),
      ...options, jointRow);
    model.on("change:errors", () => {
      if (more.querySelector(".mobility-fault:not([hidden])")) more.open = true;
    });

    film.preview = h("video", { class: "mobility-first", muted: true, playsinline: true, preload: "metadata", tabindex: -1, "aria-hidden": "true", src: URL.createObjectURL(file) });
    film.state = h("span", { class: "mobility-dim" });
    film.card = h("div", { class: "mobility-card", role: "group", "aria-label": `Video ${file.name}` },
      film.preview,
      h("div", {},
        h("div", { class: "mobility-row" }, h("b", { class: "mobility-short" }, file.name), h("span", { class: "mobility-dim" }, size(file.size)), film.state,
          h("button", { type: "button", class: "mobility-small mobility-push", "aria-label": `Remove ${file.name}`, onclick: () => {
            leave(film);
            choose.focus();
          } }, "Remove")),
        faults("video", null),
        exercises, faults("exercise_name", exercises), movements, more));
    film.told = () => ({
      session_name: title.value.trim() || null,
      exercise_name: exercise(),
      ...Object.fromEntries(ofFilm.map(({ name }) => [name, film.fields[name].value.trim() || null])),
      movement: (!movements.hidden && movement.value) || null,
      body_joint_angles: jointRow.hidden ? ["all"] : joints.filter((box) => box.checked).map((box) => box.value),
    });
    showMovement();
    return film;
  }
  /** The film, large, to point at the person to measure. */
  function pointing(film) {
    const video = h("video", { class: "mobility-preview", muted: true, playsinline: true, preload: "none", controls: true, "aria-label": "The chosen video. Click on the person to measure", tabindex: -1 });
    const box = h("div", { hidden: true }, help("If several people are in the video, click on the person to measure."), video);
    requestAnimationFrame(() => box.closest("details").addEventListener("toggle", () => {
      if (!video.src) video.src = film.preview.src;
      video.preload = "auto";
    }));
    video.addEventListener("loadedmetadata", () => { box.hidden = !video.videoWidth; });
    video.addEventListener("click", (event) => {
      const { left, top, width, height } = video.getBoundingClientRect();
      const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
      if (y > 0.85) return; // its own buttons
      event.preventDefault();
      film.fields.subject.value = `${Math.round(x * video.videoWidth)},${Math.round(y * video.videoHeight)}`;
    });
    return box;
  }

  // The participant

  const suggestions = h("datalist", { id: newId("participants") });
  const who = field("user", { list: suggestions.id, placeholder: "for example p01; may stay empty", maxlength: 200, autocomplete: "off", oninput: showPerson });
  const age = field("age", { inputmode: "decimal", size: 6 });
  const sex = h("select", { id: newId("sex") }, h("option", { value: "" }, ""), ...["female", "male"].map((each) => h("option", { value: each }, each)));
  const whom = h("div", { class: "mobility-dim", role: "status" });
  const lacking = {
    age: labelled("Age, years", age, faultLine(model, "age", age)),
    sex: labelled("Sex", sex, faultLine(model, "sex", sex)),
  };
  const norms = help("Age and sex decide which norms the report can show. They are stored with the participant.");
  const date = field("date", { type: "date", max: today() });
  const measures = Object.fromEntries(ofPerson.map(({ name }) => [name, field(name, { placeholder: "optional" })]));
  const moreOfPerson = h("details", { "aria-label": "More on the participant" }, h("summary", {}, "More"),
    ...ofPerson.map(({ name, label, help: text }) => labelled(label, measures[name], help(text), faultLine(model, name, measures[name]))));
  const person = h("div", { class: "mobility-card mobility-who", role: "group", "aria-label": "Participant" },
    h("div", {}, labelled("Participant", who, whom, faultLine(model, "user_id", who)), lacking.age, lacking.sex, norms,
      labelled("Filmed on", date, help("Empty: today."), faultLine(model, "date", date)), ofPerson.length ? moreOfPerson : null));
  /** Who is meant by what was typed: an id, or a name that one participant alone has. */
  function participant() {
    const text = who.value.trim();
    const all = model.get("participants");
    const named = all.filter(({ name }) => name && name.toLowerCase() === text.toLowerCase());
    return all.find(({ id }) => id === text) || (named.length === 1 ? named[0] : null);
  }
  function showPerson() {
    const found = participant();
    const lacks = !who.value.trim() ? [] : found ? found.lacks : ["age", "sex"];
    for (const [name, row] of Object.entries(lacking)) {
      // A fault of a field that was hidden since must be seen.
      row.hidden = !lacks.includes(name) && !(model.get("errors")[name] || []).length;
      if (row.hidden) row.querySelector("input, select").value = "";
    }
    norms.hidden = lacking.age.hidden && lacking.sex.hidden;
    whom.textContent = !who.value.trim() ? "" : found ? (found.name ? `${found.name}, ${found.id}` : "") : "A new participant.";
  }
  const showParticipants = () => {
    suggestions.replaceChildren(...model.get("participants").map(({ id, name }) => h("option", { value: id }, name)));
    showPerson();
  };

  // Sending

  const send = h("button", { class: "mobility-main", type: "button", onclick: begin });
  // What another page sends can be cancelled here too.
  const cancel = h("button", { type: "button", hidden: true, onclick: () => {
    ask(model, "cancel");
    stop();
  } }, "Cancel");
  // Whoever films more of one person says so; a form that keeps them would give the next person's film to them.
  const next = h("div", { class: "mobility-row", hidden: true });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Uploaded" });
  const sent = h("span", { class: "mobility-dim" });
  const sending = h("div", { class: "mobility-progress", hidden: true }, bar, sent);
  const heard = h("div", { class: "mobility-heard", role: "status" });
  place.append(
    h("h3", {}, "Add videos"), drop, faultLine(model, "video", choose),
    h("div", { class: "mobility-films-form" }, cards, person), suggestions,
    h("div", { class: "mobility-row" }, send, cancel),
    sending, heard, noticeLine(model), next,
  );
  const told = (file) => ({ name: file ? file.name : "", size: file ? file.size : 0 });
  function begin() {
    next.hidden = true;
    begun = { films: [...films], user: participant()?.id || who.value.trim(), day: date.value };
    begun.films.forEach((film, number) => { film.number = number; });
    ask(model, "begin", {
      page,
      films: begun.films.map((film) => ({ ...told(film.file), second: film.second ? told(film.second) : null, fields: film.told() })),
      person: {
        user_id: who.value.trim(),
        age: age.value.trim() || null,
        sex: sex.value || null,
        date: date.value || null,
        ...Object.fromEntries(Object.entries(measures).map(([name, control]) => [name, control.value.trim() || null])),
      },
    });
  }
  function stop() {
    upload = null;
    begun = null;
    for (const film of films) film.state.textContent = "";
    showState();
  }
  async function part({ upload: id, film: number, which, offset, bytes }) {
    const film = begun?.films[number];
    const file = film && (which ? film.second : film.file);
    if (!file) return;
    if (id !== upload) heard.textContent = `Uploading ${file.name}`;
    upload = id;
    bar.value = offset / file.size;
    sent.textContent = `${file.name}: ${size(offset)} of ${size(file.size)}`;
    showState();
    try {
      const data = await file.slice(offset, offset + bytes).arrayBuffer();
      if (upload === id) ask(model, "part", { upload: id, offset }, [data]);
    } catch (error) {
      ask(model, "cancel", { because: `the browser cannot read the file: ${error.message}` });
      stop();
    }
  }
  /** Empty the form for the next films, and offer to go on with the same person. */
  function end() {
    const { user, day } = begun;
    stop();
    if (films.length) return; // they were refused
    for (const control of [who, age, sex, date, ...Object.values(measures)]) control.value = "";
    moreOfPerson.open = false;
    showPerson();
    if (!user) return;
    next.replaceChildren(h("button", { type: "button", onclick: () => {
      next.hidden = true;
      who.value = user;
      date.value = day;
      showPerson();
      pick.click();
      choose.focus();
    } }, `Another video of ${user}`));
    next.hidden = false;
  }
  function showState() {
    const isBusy = Boolean(upload) || Boolean(model.get("progress").text);
    const { page: sender, names } = model.get("sending");
    const isElsewhere = Boolean(sender) && sender !== page;
    sending.hidden = !upload && !isElsewhere;
    bar.hidden = !upload;
    if (!upload && isElsewhere) sent.textContent = `Another window is sending ${names.join(", ")}.`;
    cancel.hidden = !upload && !isElsewhere;
    send.hidden = person.hidden = !films.length;
    send.disabled = isBusy;
    send.textContent = films.length > 1 ? `Add ${films.length} videos` : "Add the video";
  }
  const received = guarded(model, (message) => {
    if (message.kind === "send") part(message);
    else if (message.kind === "alive") {
      if (begun) ask(model, "alive", { page });
    } else if (message.kind === "cancelled") stop();
    else if (message.kind === "received") {
      upload = null;
      showState();
    } else if (!begun) return;
    else if (message.kind === "created") leave(begun.films[message.film]);
    else if (message.kind === "refused") begun.films[message.film].state.textContent = "not added";
    else if (message.kind === "ended") end();
  });
  model.on("change:errors", () => {
    if (Object.keys(model.get("errors")).length && !upload) begun = null;
    if (moreOfPerson.querySelector(".mobility-fault:not([hidden])")) moreOfPerson.open = true;
    showPerson();
  });
  model.on("msg:custom", received);
  model.on("change:progress change:sending", showState);
  model.on("change:participants", showParticipants);
  /** Say that nothing more comes from here; a page that cannot say so is asked by the next one. */
  const leaving = () => {
    if (!begun) return;
    ask(model, "left", { page });
    stop();
  };
  window.addEventListener("pagehide", leaving);
  showParticipants();
  showState();
  ask(model, "here", { page });
  return () => {
    leaving();
    window.removeEventListener("pagehide", leaving);
    for (const [kind, act] of Object.entries(dropping)) target.removeEventListener(kind, act);
    films.forEach(release);
    model.off("msg:custom", received);
  };
}

/** The day of this computer, as a date field has it. */
function today() {
  const now = new Date();
  return new Date(now.getTime() - now.getTimezoneOffset() * 60000).toISOString().slice(0, 10);
}

export default shown(uploadForm);

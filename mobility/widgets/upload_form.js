import { ask, faultLine, guarded, h, newId, noticeLine, root, shown } from "./common.js";

function uploadForm({ model, el }) {
  const place = root(el, "upload", "Add a video");
  const size = (bytes) =>
    bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
  const files = [null, null]; // the video, and that of a second camera
  let upload = null; // id of the one that is being sent
  let begun = null; // what is being added from here, and not from another view of the same form
  const [first, second] = [["Video file", "or drop one here"], ["File of the second video", "the same trial from another camera; or drop it here"]].map(([label, empty], which) => {
    const name = h("span", { class: "mobility-dim" }, empty);
    const pick = h("input", { type: "file", accept: "video/*,.mkv,.mov,.mp4,.avi,.webm", "aria-label": label, onchange: () => choose(which, pick.files[0]) });
    const drop = h("div", { class: "mobility-drop" }, pick, " ", name);
    for (const kind of ["dragover", "dragenter"])
      drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("mobility-over"); });
    drop.addEventListener("dragleave", () => drop.classList.remove("mobility-over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      drop.classList.remove("mobility-over");
      choose(which, event.dataTransfer.files[0]);
    });
    return { name, pick, drop, empty };
  });
  const fields = {};
  const known = h("datalist", { id: newId("participants") });
  fields.user_id = h("input", { type: "text", id: newId("user"), list: known.id, placeholder: "for example p01", maxlength: 64 });
  fields.age = h("input", { type: "text", id: newId("age"), inputmode: "decimal", size: 6 });
  fields.sex = h("select", { id: newId("sex") }, h("option", { value: "" }, ""), ...["female", "male"].map((sex) => h("option", { value: sex }, sex)));
  const person = h("details", { "aria-label": "Age and sex" },
    h("summary", {}, "Age and sex (optional)"),
    h("div", { class: "mobility-dim" }, "They decide which norms the report can show, and are kept for all films of this person: give them once."),
    ...["age", "sex"].map((name) => h("div", { class: "mobility-row" },
      h("label", { for: fields[name].id }, { age: "Age, years", sex: "Sex" }[name]), fields[name], faultLine(model, name, fields[name]))));
  const who = h("div", {}, fields.user_id, person);
  fields.session_name = h("input", { type: "text", id: newId("name"), placeholder: "optional" });
  fields.exercise_name = h("select", { id: newId("exercise") }, ...model.get("exercises").map((text) => h("option", { value: text }, text)));
  const joints = model.get("joints").map((joint) => {
    const box = h("input", { type: "checkbox", value: joint });
    box.checked = model.get("checked_joints").includes(joint);
    return box;
  });
  const jointBox = h("fieldset", { class: "mobility-choice", "aria-label": "Joints" }, ...joints.map((box) => h("label", {}, box, box.value)));
  const shownAs = Object.fromEntries(model.get("movements").map((each) => [each.name, each]));
  fields.movement = h("select", { id: newId("movement"), onchange: showMovement },
    h("option", { value: "" }, "found in the video"),
    ...model.get("movements").map((each) => h("option", { value: each.name }, each.label)));
  const drawing = h("img", { alt: "", hidden: true });
  const film = h("div", { class: "mobility-dim" });
  const movementBox = h("div", {}, fields.movement, drawing, film);
  fields.exercise_name.addEventListener("change", showMovement);
  const options = model.get("options");
  for (const { name } of options) fields[name] = h("input", { type: "text", id: newId(name), placeholder: "optional" });
  const preview = h("video", { class: "mobility-preview", muted: true, playsinline: true, preload: "auto", controls: true, hidden: true, "aria-label": "The chosen video; click on the person to measure", tabindex: -1 });
  const pointing = h("div", { class: "mobility-dim", hidden: true }, "If several people are in the video, click on the one to measure.");
  preview.addEventListener("loadedmetadata", () => { preview.hidden = pointing.hidden = !preview.videoWidth; });
  preview.addEventListener("error", () => { preview.hidden = pointing.hidden = true; });
  preview.addEventListener("click", (event) => {
    const box = preview.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (y > 0.85) return; // its own buttons
    event.preventDefault();
    fields.subject.value = `${Math.round(x * preview.videoWidth)},${Math.round(y * preview.videoHeight)}`;
  });
  const send = h("button", { class: "mobility-main", type: "button", onclick: begin }, "Upload");
  const cancel = h("button", { type: "button", hidden: true, onclick: () => { upload = null; ask(model, "cancel"); showState(); } }, "Cancel");
  // Whoever films several things of one person says so; a form that keeps them would give the next person's film to them.
  const next = h("div", { class: "mobility-row", hidden: true });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Uploaded" });
  const sent = h("span", { class: "mobility-dim" });
  const sending = h("div", { class: "mobility-progress", hidden: true }, bar, sent);

  const rowOf = {};
  const rows = [
    ["Video", first.drop, "video"],
    ["Second video", second.drop, "second_video"],
    ["Participant", who, "user_id"],
    ["Title", fields.session_name, "session_name"],
    ["Exercise", fields.exercise_name, "exercise_name"],
    ["Movement", movementBox, "movement"],
    ["Joints", jointBox, "body_joint_angles"],
    ...options.map(({ name, label, help }) => {
      const more = name === "subject" ? [pointing, preview] : [];
      return [label, h("div", {}, fields[name], h("div", { class: "mobility-dim" }, help), ...more), name];
    }),
  ].flatMap(([label, control, field]) => {
    const input = { video: first.pick, second_video: second.pick }[field] || fields[field] || control;
    const faults = faultLine(model, field, input);
    const labelled = control.className === "mobility-drop" ? control : input;
    const head = labelled.id ? h("label", { for: labelled.id }, label) : h("span", { class: "mobility-label" }, label);
    const row = [
      head,
      h("div", {}, control, field === "video" ? h("div", { class: "mobility-dim" }, `at most ${size(model.get("most_bytes"))}`) : null, faults),
    ];
    rowOf[field] = row;
    return row;
  });
  place.append(
    h("h3", {}, "Add a video"),
    h("div", { class: "mobility-form" }, ...rows), known,
    h("div", { class: "mobility-row" }, send, cancel),
    sending,
    noticeLine(model),
    next,
  );

  function isOfJoints() {
    return fields.exercise_name.value === model.get("of_single_joints");
  }
  /** How the chosen movement is filmed; its joint follows from it. */
  function showMovement() {
    const chosen = isOfJoints() ? shownAs[fields.movement.value] : null;
    for (const part of rowOf.movement) part.hidden = !isOfJoints();
    for (const part of rowOf.body_joint_angles) part.hidden = !isOfJoints() || Boolean(chosen);
    drawing.hidden = !chosen;
    if (chosen) {
      drawing.src = `data:image/svg+xml,${encodeURIComponent(chosen.drawing)}`;
      drawing.alt = `${chosen.label}: what the camera sees, and where it stands`;
    }
    film.textContent = chosen ? chosen.film : isOfJoints() ? "Choose a movement to see how to film it." : "";
  }

  function choose(which, chosen) {
    const { name, empty } = [first, second][which];
    const file = chosen || null;
    files[which] = file;
    name.textContent = file ? `${file.name}, ${size(file.size)}` : empty;
    if (which) return;
    if (preview.src) URL.revokeObjectURL(preview.src);
    preview.hidden = pointing.hidden = true;
    fields.subject.value = "";
    if (file) preview.src = URL.createObjectURL(file);
    else preview.removeAttribute("src");
  }
  for (const part of rowOf.second_video) part.hidden = !model.get("is_local");
  person.hidden = !model.get("is_local"); // a server takes no records of participants

  /** Empty the form for the next film, and offer to go on with the same person. */
  function startAnew() {
    const { user_id: user, exercise_name: exercise } = begun;
    [first, second].forEach(({ pick }, which) => {
      pick.value = "";
      choose(which, null);
    });
    for (const field of Object.values(fields)) field.value = "";
    fields.exercise_name.selectedIndex = 0;
    for (const box of joints) box.checked = model.get("checked_joints").includes(box.value);
    person.open = false;
    showMovement();
    next.replaceChildren(h("button", { type: "button", onclick: () => {
      fields.user_id.value = user;
      fields.exercise_name.value = exercise;
      next.hidden = true;
      showMovement();
      first.pick.focus();
    } }, `Next film of ${user}: ${exercise}`));
    next.hidden = false;
  }

  const told = (file) => ({ name: file ? file.name : "", size: file ? file.size : 0 });
  function begin() {
    next.hidden = true;
    begun = {
      user_id: fields.user_id.value.trim(),
      age: fields.age.value.trim() || null,
      sex: fields.sex.value || null,
      session_name: fields.session_name.value.trim() || null,
      exercise_name: fields.exercise_name.value,
      ...Object.fromEntries(options.map(({ name }) => [name, fields[name].value.trim() || null])),
      movement: (isOfJoints() && fields.movement.value) || null,
      body_joint_angles: rowOf.body_joint_angles[0].hidden ? ["all"] : joints.filter((box) => box.checked).map((box) => box.value),
    };
    ask(model, "begin", { ...told(files[0]), second: files[1] ? told(files[1]) : null, fields: begun });
  }
  async function part({ upload: id, which, offset, bytes }) {
    const file = files[which];
    if (!begun || !file) return;
    upload = id;
    bar.value = offset / file.size;
    sent.textContent = `${which ? "second video: " : ""}${size(offset)} of ${size(file.size)}`;
    showState();
    try {
      const data = await file.slice(offset, offset + bytes).arrayBuffer();
      if (upload === id) ask(model, "part", { upload: id, offset }, [data]);
    } catch (error) {
      upload = null;
      ask(model, "cancel", { because: `the browser cannot read the file: ${error.message}` });
      showState();
    }
  }
  function showState() {
    sending.hidden = !upload;
    cancel.hidden = !upload;
    send.disabled = Boolean(upload) || Boolean(model.get("progress").text);
  }
  const received = guarded(model, (message) => {
    if (message.kind === "send") part(message);
    else if (message.kind === "received") {
      upload = null;
      showState();
    } else if (message.kind === "created" && begun) {
      startAnew();
      begun = null;
    }
  });
  model.on("change:errors", () => { if (model.get("errors").age || model.get("errors").sex) person.open = true; });
  const showParticipants = () => known.replaceChildren(...model.get("participants").map((id) => h("option", { value: id })));
  model.on("msg:custom", received);
  model.on("change:progress", showState);
  model.on("change:participants", showParticipants);
  showParticipants();
  showMovement();
  showState();
  return () => {
    upload = null;
    model.off("msg:custom", received);
  };
}

export default shown(uploadForm);

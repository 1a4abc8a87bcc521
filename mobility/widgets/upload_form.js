function uploadForm({ model, el }) {
  const place = root(el, "upload", "Add a video");
  const size = (bytes) =>
    bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
  let file = null;
  let upload = null; // {id, file}
  let began = false; // here, and not in another view of the same form
  const name = h("span", { class: "mobility-dim" }, "or drop one here");
  const pick = h("input", { type: "file", accept: "video/*,.mkv,.mov,.mp4,.avi,.webm", "aria-label": "Video file", onchange: () => choose(pick.files[0]) });
  const drop = h("div", { class: "mobility-drop" }, pick, " ", name);
  const fields = {};
  const known = h("datalist", { id: newId("participants") });
  fields.user_id = h("input", { type: "text", id: newId("user"), list: known.id, placeholder: "for example p01", maxlength: 64 });
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
  const send = h("button", { class: "mobility-main", type: "button", onclick: begin }, "Upload");
  const cancel = h("button", { type: "button", hidden: true, onclick: () => { upload = null; ask(model, "cancel"); showState(); } }, "Cancel");
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Uploaded" });
  const sent = h("span", { class: "mobility-dim" });
  const sending = h("div", { class: "mobility-progress", hidden: true }, bar, sent);

  const rowOf = {};
  const rows = [
    ["Video", drop, "video"],
    ["Participant", fields.user_id, "user_id"],
    ["Title", fields.session_name, "session_name"],
    ["Exercise", fields.exercise_name, "exercise_name"],
    ["Movement", movementBox, "movement"],
    ["Joints", jointBox, "body_joint_angles"],
  ].flatMap(([label, control, field]) => {
    const input = { video: pick, movement: fields.movement }[field] || control;
    const faults = faultLine(model, field, input);
    const labelled = control === drop ? control : input;
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
  );

  function isOfJoints() {
    return fields.exercise_name.value === "Joint Angle Mobility";
  }
  /** How the chosen movement is filmed; its joint follows from it. */
  function showMovement() {
    const chosen = isOfJoints() ? shownAs[fields.movement.value] : null;
    for (const part of rowOf.movement) part.hidden = !isOfJoints();
    for (const part of rowOf.body_joint_angles) part.hidden = Boolean(chosen);
    drawing.hidden = !chosen;
    if (chosen) {
      drawing.src = `data:image/svg+xml,${encodeURIComponent(chosen.drawing)}`;
      drawing.alt = `${chosen.label}: what the camera sees, and where it stands`;
    }
    film.textContent = chosen ? chosen.film : isOfJoints() ? "Choose a movement to see how it is filmed." : "";
  }

  function choose(chosen) {
    file = chosen || null;
    name.textContent = file ? `${file.name}, ${size(file.size)}` : "or drop one here";
  }
  for (const kind of ["dragover", "dragenter"])
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("mobility-over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("mobility-over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    drop.classList.remove("mobility-over");
    choose(event.dataTransfer.files[0]);
  });

  function begin() {
    began = true;
    ask(model, "begin", {
      name: file ? file.name : "", size: file ? file.size : 0,
      fields: {
        user_id: fields.user_id.value.trim(),
        session_name: fields.session_name.value.trim() || null,
        exercise_name: fields.exercise_name.value,
        ...(isOfJoints() && fields.movement.value
          ? { movement: fields.movement.value, body_joint_angles: ["all"] }
          : { movement: null, body_joint_angles: joints.filter((box) => box.checked).map((box) => box.value) }),
      },
    });
  }
  async function part({ upload: id, offset, bytes }) {
    if (!began || !file) return;
    if (!upload || upload.id !== id) upload = { id, file };
    const now = upload;
    bar.value = offset / now.file.size;
    sent.textContent = `${size(offset)} of ${size(now.file.size)}`;
    showState();
    try {
      const data = await now.file.slice(offset, offset + bytes).arrayBuffer();
      if (upload === now) ask(model, "part", { upload: id, offset }, [data]);
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
    } else if (message.kind === "created") {
      pick.value = "";
      choose(null);
    }
  });
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

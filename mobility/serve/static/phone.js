// The page of a phone: how to film, the camera, and the report. It uses the documented HTTP interface
// with the key of the scanned code, which is after # in the address, so browsers do not send it.
import { showCheck } from "./film_check.js";

const { api, movements, exercises } = JSON.parse(document.getElementById("known").textContent);
const key = location.hash.slice(1);
const [wrong, movement, drawing, how, filming, working, doing, bar, check, reading, report] = [
  "wrong", "movement", "drawing", "how", "filming", "working", "doing", "bar", "check", "reading", "report",
].map((id) => document.getElementById(id));
const EVERY_MS = 2000;
let shownSession = "";

const show = (part) => {
  for (const section of [filming, working, reading]) section.hidden = section !== part;
};
const say = (text, part) => {
  doing.textContent = text;
  if (part === undefined) bar.removeAttribute("value");
  else bar.value = part;
};
function fail(text) {
  wrong.textContent = text;
  wrong.hidden = false;
  show(filming);
}
const messageOf = (body) => Object.values(body.errors || {}).flat().join("; ") || body.error || "It failed. Try again.";

async function ask(path, method = "GET") {
  const answer = await fetch(`${api}${path}`, { method, headers: { Authorization: `API-KEY ${key}` } });
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Error(answer.status === 401 ? "This code is no longer valid. Scan a new one." : messageOf(body));
}

movement.append(...movements.map(({ label }, index) => new Option(label, index)));
function showHow() {
  const selected = movements[movement.value];
  drawing.src = `data:image/svg+xml,${encodeURIComponent(selected.drawing)}`;
  drawing.alt = `${selected.label}: view of the camera, and its position`;
  how.replaceChildren(...selected.how.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
}
movement.addEventListener("change", showHow);
showHow();

/** Send the video, by XMLHttpRequest: fetch has no progress. */
function upload(file) {
  return new Promise((done, refused) => {
    const form = new FormData();
    // The server may refuse the name that a camera gives.
    form.append("video", file, /\.\w+$/.test(file.name) ? file.name : "video.mp4");
    const selected = movements[movement.value];
    form.append("exercise_name", selected.exercise);
    if (selected.movement) form.append("movement", selected.movement);
    const request = new XMLHttpRequest();
    request.open("POST", `${api}/sessions/`);
    request.setRequestHeader("Authorization", `API-KEY ${key}`);
    request.upload.onprogress = ({ loaded, total }) => say("Sending the video", loaded / total);
    request.onerror = () => refused(new Error("The computer cannot be reached. Check that the phone is in its network."));
    request.onload = () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText);
      } catch { /* refused below */ }
      if (request.status === 200) done(body.session_id);
      else refused(new Error(messageOf(body)));
    };
    request.send(form);
  });
}

async function analysed(id) {
  while (shownSession === id) {
    const { state, reason, stages, waiting_before: before, exercise } = await (await ask(`/sessions/${id}/state/`)).json();
    if (state === "analyzed") return exercise;
    if (state === "failed") throw new Error(reason || "The video cannot be analysed. Film again.");
    const what = before ? `Waiting: ${before} ahead of you` : state === "held" ? reason : "Measuring the movement. This takes about a minute.";
    say(what, stages.length ? stages.length / 7 : undefined);
    await new Promise((next) => setTimeout(next, EVERY_MS));
  }
  return null; // filmed again meanwhile
}

async function submit(file) {
  if (!file) return;
  wrong.hidden = true;
  show(working);
  say("Sending the video", 0);
  try {
    const id = await upload(file);
    history.replaceState(null, "", `?${new URLSearchParams({ session: id })}${location.hash}`);
    await read(id);
  } catch (error) {
    fail(error.message);
  }
}

/** First look at the recording: good, or why to film again, while the analysis continues. */
async function look(id) {
  const result = await ask(`/sessions/${id}/recording-check/`).then((answer) => answer.json()).catch(() => null);
  if (result && shownSession === id) showCheck(check, result, filmAgain);
}

async function read(id) {
  show(working);
  shownSession = id;
  check.replaceChildren();
  look(id);
  const exercise = await analysed(id);
  if (!exercise) return;
  const { document: name, slug } = exercises[exercise];
  say("Writing the report");
  await ask(`/sessions/${id}/${name}/`, "POST");
  const page = await (await ask(`/sessions/${id}/media/${slug}.html`)).text();
  if (shownSession !== id) return;
  report.srcdoc = page;
  show(reading);
}

for (const id of ["video", "stored"]) {
  const input = document.getElementById(id);
  input.addEventListener("change", () => {
    submit(input.files[0]);
    input.value = "";
  });
}
function filmAgain() {
  shownSession = "";
  history.replaceState(null, "", `${location.pathname}${location.hash}`);
  show(filming);
}
document.getElementById("again").addEventListener("click", filmAgain);
// A reloaded page continues with its session.
const earlier = new URLSearchParams(location.search).get("session");
if (!key) fail("This address has no key. Scan the code again.");
else if (earlier) read(earlier).catch((error) => fail(error.message));
else ask("/sessions/").catch((error) => fail(error.message));

import widget from "../widgets/trial_viewer.js";

// Where a page has no kernel, it answers what the trial viewer asks for, from its own data.
const held = JSON.parse(document.getElementById("mobility-trial-data").textContent);

function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function standInModel({ state, trial, buffers, video }) {
  const heard = [];
  const tell = (name, ...said) =>
    heard.filter((each) => each.names.includes(name)).forEach((each) => each.act(...said));
  const changed = new Set();
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = value;
      changed.add(name);
    },
    save_changes: () => {
      const names = [...changed];
      changed.clear();
      names.forEach((name) => tell(`change:${name}`));
    },
    on: (names, act) => heard.push({ names: names.split(" "), act }),
    off: (_, act) => heard.splice(0, heard.length, ...heard.filter((each) => each.act !== act)),
    send: (message) =>
      // Later, as from a kernel.
      queueMicrotask(() => {
        if (message.do === "load")
          tell("msg:custom", trial, buffers.map((text) => new DataView(bytesOf(text).buffer)));
        else if (message.do === "video" && video) {
          const film = new Blob([bytesOf(video)], { type: "video/mp4" });
          tell("msg:custom", { kind: "video", url: URL.createObjectURL(film), annotated: false }, []);
        } else if (message.do === "trouble") {
          model.set("notice", { kind: "error", text: message.text });
          model.save_changes();
        }
      }),
  };
  return model;
}

const stage = document.getElementById("mobility-trial");
// Drawn where the page can be seen only: a closed heading has no width.
document.documentElement.classList.add("alive");
widget.render({ model: standInModel(held), el: stage });

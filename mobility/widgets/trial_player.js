import { ask, h, pageServer } from "./common.js";

// Sources of the video: the server's route, the kernel, then the annotated video, which every browser
// can play, from the same two.
const ATTEMPTS = [false, true].flatMap((annotated) => [false, true].map((local) => ({ local, annotated })));
const LONGEST_GAP_S = 0.25; // between two frames for the skeleton to be interpolated

/** Plays a trial, by its video or, without one, by the clock; calls `showFrame` for every picture. */
export class Player {
  trial = null; // what Python sent: time, image, visible, body, curves
  frame = 0; // the last one with a pose
  moment = 0; // seconds; between two such frames while the video plays
  playing = false;
  hasVideo = false;
  annotated = false; // whether the video shows the skeleton itself
  #attempt = 0;
  #model;
  #closed;
  #showFrame;

  constructor(model, closed, showFrame) {
    this.#model = model;
    this.#closed = closed;
    this.#showFrame = showFrame;
    this.video = h("video", { muted: true, playsinline: true, preload: "auto", tabindex: -1, "aria-label": "Video of the recording" });
    this.video.muted = true;
    this.button = h("button", { type: "button", class: "mobility-main", onclick: () => this.setPlaying(!this.playing) }, "Play");
    this.speed = h("select", { "aria-label": "Speed", onchange: () => { this.video.playbackRate = Number(this.speed.value); } },
      ...[[1, "1 ×"], [0.5, "½ ×"], [0.25, "¼ ×"]].map(([value, text]) => h("option", { value }, text)));
    this.slider = h("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Time in the recording", oninput: () => this.goTo(Number(this.slider.value)) });
    this.buttons = [
      this.button,
      h("button", { type: "button", "aria-label": "One frame back", onclick: () => this.step(-1) }, "◀ frame"),
      h("button", { type: "button", "aria-label": "One frame forward", onclick: () => this.step(1) }, "frame ▶"),
      this.speed,
    ];
    this.#listen();
    this.#watchFrames();
  }

  get time() { return this.trial.time; }
  get count() { return this.trial ? this.trial.time.length : 0; }
  get first() { return this.time[0]; }
  get last() { return this.time[this.count - 1]; }

  /** Show a trial, no earlier than its frame `least`. */
  load(trial, least) {
    this.trial = trial;
    this.slider.max = this.count - 1;
    this.frame = Math.max(0, least, Math.min(this.frame, this.count - 1));
    this.moment = this.time[this.frame];
    if (this.hasVideo) this.video.currentTime = this.#middleOf(this.frame);
  }
  loadVideo({ url, annotated }) {
    this.annotated = annotated;
    this.video.src = url;
  }
  askVideo() {
    const { local, annotated } = ATTEMPTS[this.#attempt];
    ask(this.#model, "video", { page: { ...pageServer(), local }, annotated });
  }
  close() {
    this.playing = false;
    this.video.removeAttribute("src");
    this.video.load();
  }

  frameAt(seconds) {
    const t = this.time;
    let [low, high] = [0, t.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (t[middle] <= seconds + 1e-4) low = middle;
      else high = middle - 1;
    }
    return low;
  }
  /** Share of the time to the next frame that has passed at the moment, 0 to 1. */
  shareToNext() {
    const [from, to] = [this.time[this.frame], this.time[this.frame + 1]];
    return to - from < LONGEST_GAP_S ? Math.max(0, Math.min(1, (this.moment - from) / (to - from))) : 0;
  }
  /** Coordinates of a point at the moment; those of the frame if the next has none. */
  pointAt(values, points, k, size) {
    const share = this.shareToNext();
    return Array.from({ length: size }, (_, i) => {
      const now = values[(this.frame * points + k) * size + i];
      const next = share ? values[((this.frame + 1) * points + k) * size + i] : now;
      return Number.isFinite(next) ? now + share * (next - now) : now;
    });
  }

  goTo(i) {
    if (!this.trial) return;
    this.setPlaying(false);
    this.frame = Math.max(0, Math.min(this.count - 1, i));
    this.moment = this.time[this.frame];
    if (this.hasVideo) this.video.currentTime = this.#middleOf(this.frame);
    this.#showFrame();
  }
  step(by) { this.goTo(this.frame + by); }
  setPlaying(wanted) {
    if (!this.trial || wanted === this.playing) return;
    this.playing = wanted;
    this.button.textContent = wanted ? "Pause" : "Play";
    const isAtEnd = this.frame >= this.count - 1;
    if (this.hasVideo && !wanted) this.video.pause();
    else if (this.hasVideo) {
      if (isAtEnd) this.video.currentTime = 0;
      this.video.play().catch((error) => {
        this.setPlaying(false);
        ask(this.#model, "trouble", { text: `the browser does not play the video: ${error.message}` });
      });
    }
    if (!wanted) return;
    if (isAtEnd) this.#setMoment(this.first);
    this.#run();
  }

  #run() {
    let before = performance.now();
    const tick = (now) => {
      if (!this.playing || this.#closed.aborted) return;
      if (!this.hasVideo) { // the clock drives the time
        this.#setMoment(Math.min(this.last, this.moment + ((now - before) / 1000) * Number(this.speed.value)));
        if (this.moment >= this.last) this.setPlaying(false);
      } else if (!this.video.requestVideoFrameCallback) this.#setMoment(this.video.currentTime);
      before = now;
      this.#showFrame();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
  #setMoment(seconds) {
    this.moment = seconds;
    this.frame = this.frameAt(seconds);
  }
  /** Middle of a picture's time: a browser that seeks there shows this picture and no other. */
  #middleOf(i) {
    const t = this.time;
    const length = i + 1 < t.length ? t[i + 1] - t[i] : t[i] - t[i - 1] || 0.03;
    return t[i] + Math.min(length, this.trial.picture_s, 0.1) / 2;
  }
  #watchFrames() {
    if (!this.video.requestVideoFrameCallback) return;
    const seen = (_, { mediaTime }) => {
      if (this.#closed.aborted) return;
      if (this.trial) {
        // An unfinished seek must not move the cursor back.
        if (this.playing) this.#setMoment(mediaTime);
        this.#showFrame();
      }
      this.video.requestVideoFrameCallback(seen);
    };
    this.video.requestVideoFrameCallback(seen);
  }
  #listen() {
    this.video.addEventListener("ended", () => {
      this.setPlaying(false);
      if (!this.trial) return;
      this.#setMoment(this.last);
      this.#showFrame();
    });
    this.video.addEventListener("loadeddata", () => {
      this.hasVideo = true;
      if (this.trial && this.frame) this.video.currentTime = this.#middleOf(this.frame);
    });
    this.video.addEventListener("error", () => {
      if (!this.video.getAttribute("src")) return;
      this.hasVideo = false;
      this.#attempt += 1;
      if (this.#attempt < ATTEMPTS.length) this.askVideo();
      else ask(this.#model, "trouble", { text: "the video cannot be shown here: the browser cannot reach it or does not know its format; the curves work without it" });
    });
  }
}

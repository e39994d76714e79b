// A clip and its faces -> a player with the box of the face over the picture.

import { draw, make } from "./elements.js";
import { say } from "./texts.js";

const MAX_GAP_S = 1.6; // between boxes; beyond it the face was lost in between
const HELD_S = 1; // a box without a next one holds for its second
const FAR_S = 1e7; // beyond the end of any recording

/** Plays a clip. Events: `time` while it plays and when it is moved. */
export class Player extends EventTarget {
  #faces;
  #lengthS;
  #media;
  #overlay = draw("svg", { class: "overlay", "aria-hidden": "true" });
  #isMeasured = true;
  #isDrawable;

  constructor(clip) {
    super();
    this.#faces = clip.prediction.faces;
    this.#lengthS = clip.prediction.length_sec;
    this.#isDrawable = clip.prediction.status === "ok";
    this.kind = findKind(clip);
    this.#media = makeMedia(this.kind, clip);
    this.element = make("figure", { class: `player ${this.kind}` }, this.#media, this.#overlay);
    this.#media.addEventListener("error", () => this.#sayUnplayable());
    if (this.kind === "picture") this.#media.addEventListener("load", () => this.#drawAll());
    else this.#follow();
  }

  /** Seconds from the start of the clip. */
  get time() {
    return Math.min(this.#media.currentTime ?? 0, this.#lengthS);
  }

  get isPlaying() {
    return this.kind !== "picture" && !this.#media.paused;
  }

  seek(time) {
    if (this.kind === "picture" || !this.#media.isConnected) return;
    this.#media.currentTime = Math.min(Math.max(time, 0), this.#lengthS);
  }

  stop() {
    if (this.kind !== "picture") this.#media.pause();
  }

  #follow() {
    const media = this.#media;
    media.addEventListener("loadedmetadata", () => this.#measure());
    for (const name of ["timeupdate", "seeked", "pause"]) media.addEventListener(name, () => this.#tell());
    media.addEventListener("play", () => this.#tellWhilePlaying());
  }

  /** Recordings of a browser do not say how long they are, until somebody goes to their end. */
  #measure() {
    const media = this.#media;
    if (Number.isFinite(media.duration)) {
      this.#tell();
      return;
    }
    this.#isMeasured = false;
    media.addEventListener("durationchange", () => {
      media.currentTime = 0;
      this.#isMeasured = true;
    }, { once: true });
    media.currentTime = FAR_S;
  }

  #tellWhilePlaying() {
    this.#tell();
    if (!this.#media.paused && this.#media.isConnected) {
      requestAnimationFrame(() => this.#tellWhilePlaying());
    }
  }

  #tell() {
    if (!this.#isMeasured) return;
    if (this.kind === "video") this.#drawBoxes([findBox(this.#faces, this.time)].filter(Boolean));
    this.dispatchEvent(new Event("time"));
  }

  #drawAll() {
    this.#drawBoxes(this.#faces.map((face) => face.box));
  }

  /** Boxes are in pixels of the picture: the overlay takes these as its unit. */
  #drawBoxes(boxes) {
    const width = this.#media.videoWidth || this.#media.naturalWidth;
    const height = this.#media.videoHeight || this.#media.naturalHeight;
    if (!width || !height) return;
    this.#overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    // A dark line under a light one is seen on any picture.
    const layers = boxes.flatMap((box) => [drawBox(box, "under"), drawBox(box, "over")]);
    this.#overlay.replaceChildren(...layers);
  }

  #sayUnplayable() {
    const key = this.kind === "picture" ? "player.no-picture" : "player.no-media";
    const words = this.#isDrawable ? `${say(key)} ${say("player.drawn")}` : say(key);
    this.element.classList.add("unplayable");
    this.element.replaceChildren(make("p", { class: "quiet" }, words));
  }
}

/** Return the box at a time, between its neighbours if these are near; null where no face was found. */
export function findBox(faces, time) {
  const next = faces.findIndex((face) => face.time_sec > time);
  const [before, after] = next < 0 ? [faces.at(-1), undefined] : [faces[next - 1], faces[next]];
  if (!before) return null;
  const gap = after ? after.time_sec - before.time_sec : Infinity;
  if (gap <= MAX_GAP_S) {
    const share = (time - before.time_sec) / gap;
    return before.box.map((edge, index) => edge + share * (after.box[index] - edge));
  }
  return time - before.time_sec <= HELD_S ? before.box : null;
}

function findKind(clip) {
  if (clip.file.type.startsWith("image/")) return "picture";
  const isSound = clip.prediction.modalities.face.reason === "no video track";
  return isSound || clip.file.type.startsWith("audio/") ? "sound" : "video";
}

function makeMedia(kind, clip) {
  const label = { "aria-label": say("player.label", { name: clip.name }) };
  switch (kind) {
    case "picture":
      return make("img", { src: clip.url, alt: say("player.picture", { name: clip.name }) });
    case "sound":
      return make("audio", { src: clip.url, controls: true, preload: "auto", ...label });
    default:
      return make("video", { src: clip.url, controls: true, preload: "auto", playsinline: true, ...label });
  }
}

function drawBox([left, top, right, bottom], name) {
  const size = { width: Math.max(right - left, 0), height: Math.max(bottom - top, 0) };
  return draw("rect", { class: name, x: left, y: top, ...size });
}

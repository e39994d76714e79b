// A prediction and a player -> a timeline that follows the player, and moves it by click and key.

import { draw, make } from "./elements.js";
import { drawCursor, drawLanes, findStretches, HEIGHT, sayTime, Scale } from "./lanes.js";
import { say, sayLabel, sayNumber, sayPercent } from "./texts.js";

const STEP_S = 1; // of an arrow key
const PAGE_S = 10;
const ROUNDED_S = 0.05; // times are shown with one digit

/** A slider for screen readers, a picture for all others. */
export class Timeline {
  #prediction;
  #player;
  #faces;
  #time = 0;
  #scale = null;
  #cursor = null;
  #svg = draw("svg", {
    class: "lanes", height: HEIGHT, tabindex: 0, role: "slider", "aria-valuemin": 0,
  });
  #moment = make("p", { class: "moment" });

  constructor(prediction, player) {
    this.#prediction = prediction;
    this.#player = player;
    this.#faces = findStretches(prediction.faces, prediction.length_sec);
    this.#svg.setAttribute("aria-label", say("timeline.label"));
    this.#svg.setAttribute("aria-valuemax", prediction.length_sec);
    this.element = make("div", { class: "timeline" },
      make("h3", {}, say("timeline.title")), this.#svg, this.#moment,
      make("p", { class: "quiet" }, say("timeline.help")), makeWindowTable(prediction));
    this.#listen();
  }

  /** While it plays, the words change once a second: a screen reader may say them. */
  show(time) {
    const isTold = this.#player.isPlaying && Math.floor(time) === Math.floor(this.#time);
    this.#time = time;
    if (this.#cursor) {
      const x = this.#scale.x(time);
      this.#cursor.setAttribute("x1", x);
      this.#cursor.setAttribute("x2", x);
    }
    if (isTold) return;
    const words = this.#describe(time);
    this.#moment.textContent = words;
    this.#svg.setAttribute("aria-valuenow", time.toFixed(1));
    this.#svg.setAttribute("aria-valuetext", words);
  }

  #listen() {
    this.#player.addEventListener("time", () => this.show(this.#player.time));
    this.#svg.addEventListener("keydown", (event) => this.#onKey(event));
    this.#svg.addEventListener("pointerdown", (event) => {
      this.#svg.setPointerCapture(event.pointerId);
      this.#moveToPointer(event);
    });
    this.#svg.addEventListener("pointermove", (event) => {
      if (this.#svg.hasPointerCapture(event.pointerId)) this.#moveToPointer(event);
    });
    new ResizeObserver(() => this.#draw()).observe(this.#svg);
  }

  #draw() {
    const width = this.#svg.clientWidth;
    if (width === 0 || width === this.#scale?.width) return;
    this.#scale = new Scale(width, this.#prediction.length_sec);
    this.#cursor = drawCursor(this.#scale);
    this.#svg.replaceChildren(...drawLanes(this.#prediction, this.#scale), this.#cursor);
    this.show(this.#time);
  }

  #moveToPointer(event) {
    const left = this.#svg.getBoundingClientRect().left;
    this.#move(this.#scale.time(event.clientX - left));
  }

  #move(time) {
    const wanted = Math.min(Math.max(time, 0), this.#prediction.length_sec);
    this.#player.seek(wanted);
    this.show(wanted); // also if the browser cannot play the clip
  }

  #onKey(event) {
    const wanted = {
      ArrowLeft: this.#time - STEP_S, ArrowDown: this.#time - STEP_S,
      ArrowRight: this.#time + STEP_S, ArrowUp: this.#time + STEP_S,
      PageDown: this.#time - PAGE_S, PageUp: this.#time + PAGE_S,
      Home: 0, End: this.#prediction.length_sec,
    }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    this.#move(wanted);
  }

  #describe(time) {
    const { speech, windows } = this.#prediction;
    const isSpeech = speech.some((span) => span.start_sec - ROUNDED_S <= time && time < span.end_sec);
    const isFace = this.#faces.some(([start, end]) => start <= time && time < end);
    const parts = [
      sayTime(time, 1),
      say(isSpeech ? "timeline.is-speech" : "timeline.no-speech"),
      say(isFace ? "timeline.is-face" : "timeline.no-face"),
    ];
    const window = findWindow(windows, time);
    return [...parts, ...(window ? [describeWindow(window)] : [])].join(" · ");
  }
}

/** Return the window whose middle is nearest: windows overlap. */
export function findWindow(windows, time) {
  const middle = (window) => Math.abs((window.start_sec + window.end_sec) / 2 - time);
  const around = windows.filter((window) => window.start_sec - ROUNDED_S <= time && time <= window.end_sec + ROUNDED_S);
  return around.reduce((best, window) => (best && middle(best) <= middle(window) ? best : window), null);
}

function describeWindow(window) {
  const values = {
    index: window.index + 1,
    gender: sayLabel("gender", window.gender_pred_label),
    share: sayPercent(window.gender_probs[window.gender_pred_label]),
    age: sayNumber(window.age_pred),
  };
  const words = say("timeline.window", values);
  const mask = window.mask_type_pred_label;
  return mask === null ? words : `${words}, ${sayLabel("mask", mask)}`;
}

/** The same as a table; it is made when it is opened, as a long clip has thousands of windows. */
function makeWindowTable(prediction) {
  const place = make("div", { class: "scroll", role: "region", tabindex: 0 });
  place.setAttribute("aria-label", say("timeline.table"));
  const details = make("details", {}, make("summary", {}, say("timeline.table")), place);
  details.addEventListener("toggle", () => {
    if (place.childElementCount === 0) place.append(makeTable(prediction.windows));
  });
  return details;
}

function makeTable(windows) {
  const names = ["from", "to", "gender", "age", "mask", "speech", "faces"];
  const head = names.map((name) => make("th", { scope: "col" }, say(`windows.${name}`)));
  const rows = windows.map((window) => make("tr", {}, [
    sayTime(window.start_sec, 1),
    sayTime(window.end_sec, 1),
    `${sayLabel("gender", window.gender_pred_label)} ${sayPercent(window.gender_probs[window.gender_pred_label])}`,
    sayNumber(window.age_pred, 1),
    window.mask_type_pred_label === null ? "–" : sayLabel("mask", window.mask_type_pred_label),
    say(window.has_speech ? "yes" : "no"),
    sayNumber(window.num_faces),
  ].map((text) => make("td", {}, text))));
  return make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
}

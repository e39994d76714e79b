// A prediction and a width -> the lanes of the timeline: speech, faces, age by window, seconds.

import { draw } from "./elements.js";
import { say, sayNumber } from "./texts.js";

const LEFT = 64; // px, for the words
const RIGHT = 14;
const TOP = 8;
const LANE = 20; // px, height of speech and faces
const GAP = 10;
const AGES = 110;
const AXIS = 26;
const MAX_GAP_S = 1.6; // between faces of one stretch
const TICK_PX = 64; // at least, between seconds that are named
const TICKS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];

const SPEECH_Y = TOP;
const FACES_Y = SPEECH_Y + LANE + GAP;
const AGES_Y = FACES_Y + LANE + GAP;
const AXIS_Y = AGES_Y + AGES;
export const HEIGHT = AXIS_Y + AXIS;

/** Where a second is, in px, and back. */
export class Scale {
  constructor(width, lengthS) {
    this.width = width;
    this.lengthS = Math.max(lengthS, 0.001);
  }

  x(time) {
    return LEFT + ((this.width - LEFT - RIGHT) * Math.min(time, this.lengthS)) / this.lengthS;
  }

  time(x) {
    const share = (x - LEFT) / (this.width - LEFT - RIGHT);
    return Math.min(Math.max(share, 0), 1) * this.lengthS;
  }
}

/** Return all lanes as elements of SVG. */
export function drawLanes(prediction, scale) {
  const faces = findStretches(prediction.faces, prediction.length_sec);
  return [
    ...drawAxis(scale),
    ...drawSpans("speech", SPEECH_Y, prediction.speech.map((span) => [span.start_sec, span.end_sec]), scale),
    ...drawSpans("faces", FACES_Y, faces, scale),
    ...(prediction.age ? drawAges(prediction, scale) : []),
  ];
}

/** Return stretches of seconds with a face: a face stands for the second from its time on. */
export function findStretches(faces, lengthS) {
  const stretches = [];
  for (const { time_sec: time } of faces) {
    const end = Math.min(time + 1, lengthS);
    const last = stretches.at(-1);
    if (last && time - (last[1] - 1) <= MAX_GAP_S) last[1] = end;
    else stretches.push([time, end]);
  }
  return stretches;
}

/** Return the line that shows where the player is. */
export function drawCursor(scale) {
  const x = scale.x(0);
  return draw("line", { class: "cursor", x1: x, x2: x, y1: TOP - 6, y2: AXIS_Y + 6 });
}

function drawSpans(name, y, spans, scale) {
  const bars = spans.map(([start, end]) => draw("rect", {
    class: name, x: scale.x(start), y, rx: 3, height: LANE,
    width: Math.max(scale.x(end) - scale.x(start), 2),
  }));
  const lane = { class: "lane", x: scale.x(0), y, rx: 3, height: LANE };
  return [
    draw("text", { x: 0, y: y + LANE / 2 + 4 }, say(`timeline.${name}`)),
    draw("rect", { ...lane, width: scale.x(scale.lengthS) - scale.x(0) }),
    ...bars,
  ];
}

function drawAxis(scale) {
  const wanted = (scale.lengthS * TICK_PX) / (scale.x(scale.lengthS) - scale.x(0));
  const step = TICKS_S.find((seconds) => seconds >= wanted) ?? TICKS_S.at(-1);
  const marks = [];
  for (let time = 0; time <= scale.lengthS; time += step) {
    const x = scale.x(time);
    marks.push(draw("line", { class: "tick", x1: x, x2: x, y1: TOP, y2: AXIS_Y + 5 }));
    marks.push(draw("text", { x, y: AXIS_Y + 20, "text-anchor": "middle" }, sayTime(time, step < 1 ? 1 : 0)));
  }
  return marks;
}

/** Return seconds as a player writes them: 7, 1:07, 1:01:07. */
export function sayTime(time, digits = 0) {
  const minutes = Math.floor(time / 60);
  const seconds = sayNumber(time - 60 * minutes, digits);
  if (minutes === 0) return say("timeline.seconds", { seconds });
  const pad = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(minutes / 60);
  const rest = seconds.padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${pad(minutes % 60)}:${rest}` : `${minutes}:${rest}`;
}

/** Windows overlap: each is a thin line as long as it is, and their middles are joined. */
function drawAges(prediction, scale) {
  const { windows, age } = prediction;
  const known = [...windows.map((window) => window.age_pred), age.value, ...(age.interval ?? [])];
  const low = Math.max(0, Math.floor((Math.min(...extremes(known)) - 3) / 10) * 10);
  const high = Math.ceil((Math.max(...extremes(known)) + 3) / 10) * 10;
  const y = (years) => AXIS_Y - (AGES * (years - low)) / (high - low);
  const middle = (window) => [scale.x((window.start_sec + window.end_sec) / 2), y(window.age_pred)];
  const joined = windows.map((window, index) => `${index ? "L" : "M"}${middle(window).join(" ")}`);
  const spans = windows.map((window) =>
    `M${scale.x(window.start_sec)} ${y(window.age_pred)}H${scale.x(window.end_sec)}`);
  return [
    ...drawYears(low, high, y, scale),
    ...drawClipAge(age, y, scale),
    draw("path", { class: "window-span", d: spans.join("") }),
    draw("path", { class: "window-age", d: joined.join("") }),
    ...(windows.length <= 60 ? windows.map((window) => drawDot(middle(window))) : []),
  ];
}

/** Return lowest and highest: a spread of a whole long clip would be too many arguments. */
function extremes(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

function drawYears(low, high, y, scale) {
  const step = high - low > 40 ? 20 : 10;
  const marks = [draw("text", { x: 0, y: AGES_Y + 12 }, say("timeline.age"))];
  for (let years = low; years <= high; years += step) {
    marks.push(draw("line", { class: "tick", x1: scale.x(0), x2: scale.x(scale.lengthS), y1: y(years), y2: y(years) }));
    marks.push(draw("text", { x: LEFT - 6, y: y(years) + 4, "text-anchor": "end" }, String(years)));
  }
  return marks;
}

function drawClipAge(age, y, scale) {
  const [x1, x2] = [scale.x(0), scale.x(scale.lengthS)];
  const line = draw("line", { class: "clip-age", x1, x2, y1: y(age.value), y2: y(age.value) });
  if (!age.interval) return [line];
  const [low, high] = age.interval;
  const band = { class: "clip-interval", x: x1, y: y(high), width: x2 - x1, height: y(low) - y(high) };
  return [draw("rect", band), line];
}

function drawDot([cx, cy]) {
  return draw("circle", { class: "window-dot", cx, cy, r: 3.5 });
}

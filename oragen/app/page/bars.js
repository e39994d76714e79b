// Probabilities -> bars; an age and its interval -> a scale.

import { draw, make } from "./elements.js";
import { say, sayLabel, sayNumber, sayPercent } from "./texts.js";

const OLDEST = 100; // years, the end of the scale, unless somebody is older
const SCALE_HEIGHT = 46;

/** Return a heading with a bar for each label, the most probable one marked. */
export function makeBars(task, predicted) {
  const rows = Object.entries(predicted.probabilities).map(([label, share]) =>
    makeBar(sayLabel(task, label), share, label === predicted.label));
  return make("div", { class: "fact" },
    make("h3", {}, say(`answer.${task}`)),
    make("ul", { class: "bars" }, rows));
}

function makeBar(words, share, isBest) {
  const filled = make("span", { class: "filled" });
  filled.style.width = `${100 * share}%`;
  return make("li", { class: isBest ? "best" : null },
    make("span", { class: "words" }, words),
    make("span", { class: "bar", "aria-hidden": "true" }, filled),
    make("span", { class: "share" }, sayPercent(share)));
}

/** Return the age in words and on a scale. */
export function makeAge(prediction) {
  const { value, interval } = prediction.age;
  const years = say("age.years", { years: sayNumber(value, 1), count: 1.5 });
  return make("div", { class: "fact" },
    make("h3", {}, say("answer.age")),
    make("p", { class: "age" }, make("strong", {}, years), " ", sayInterval(prediction)),
    drawScale(value, interval));
}

function sayInterval({ age, unfamiliar }) {
  if (age.interval) {
    const [low, high] = age.interval;
    return make("span", {}, say("age.interval", { low: sayNumber(low), high: sayNumber(high) }));
  }
  const why = unfamiliar ? "age.withheld" : "age.not-calibrated";
  return make("span", { class: "quiet" }, say(why));
}

/** The scale is drawn in per cent of its width, so that its words keep their size. */
function drawScale(value, interval) {
  const end = Math.max(OLDEST, Math.ceil(Math.max(value, interval?.[1] ?? 0) / 10) * 10);
  const at = (years) => `${2 + (96 * Math.min(Math.max(years, 0), end)) / end}%`;
  const scale = draw("svg", { class: "scale", height: SCALE_HEIGHT, width: "100%", "aria-hidden": "true" });
  scale.append(draw("line", { class: "axis", x1: at(0), x2: at(end), y1: 18, y2: 18 }));
  for (let years = 0; years <= end; years += 20) {
    scale.append(draw("line", { class: "axis", x1: at(years), x2: at(years), y1: 18, y2: 24 }));
    scale.append(draw("text", { x: at(years), y: 40, "text-anchor": "middle" }, String(years)));
  }
  if (interval) {
    const [low, high] = interval;
    scale.append(draw("line", { class: "interval", x1: at(low), x2: at(high), y1: 18, y2: 18 }));
  }
  scale.append(draw("circle", { class: "value", cx: at(value), cy: 18, r: 7 }));
  return scale;
}

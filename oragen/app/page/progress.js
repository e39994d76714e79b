// A clip that is being worked on -> words on its state, and a bar with a button to cancel.

import { button, make } from "./elements.js";
import { say, sayLabel, saySentence, sayNumber, sayPercent } from "./texts.js";

/** Return the state of a clip in a few words. */
export function describeState(clip) {
  switch (clip.state) {
    case "uploading":
      return say("state.uploading", { share: sayPercent(clip.share) });
    case "waiting":
      return clip.position > 0 ? say("state.waiting", { count: clip.position }) : say("state.next");
    case "predicting":
      return clip.windowsTotal
        ? say("state.windows", { done: clip.windowsDone, total: clip.windowsTotal })
        : say("state.predicting");
    case "done":
      return say(clip.prediction.status === "ok" ? "state.done" : "state.nothing");
    default:
      return say(`state.${clip.state}`);
  }
}

/** Return what was predicted in one line, for the reader of a screen too. */
export function describePrediction(prediction) {
  const { gender, age, mask_type: mask } = prediction;
  if (!gender || !age) return say("answer.nothing");
  const parts = [
    `${sayLabel("gender", gender.label)} ${sayPercent(gender.probabilities[gender.label])}`,
    say("age.years", { years: sayNumber(age.value), count: Math.round(age.value) }),
  ];
  if (mask) {
    parts.push(`${sayLabel("mask", mask.label)} ${sayPercent(mask.probabilities[mask.label])}`);
  }
  return parts.join(", ");
}

/** A bar that follows one clip until it has ended. */
export class Progress {
  #words = make("p");
  #detail = make("p", { class: "quiet" });
  #bar = make("progress", { max: 1 });

  constructor(clip, onCancel) {
    this.#bar.setAttribute("aria-label", say("progress.label"));
    const stop = button(say("progress.cancel"), () => onCancel(clip), { class: "cancel" });
    this.element = make("div", { class: "progress" }, this.#words, this.#bar, this.#detail, stop);
    this.show(clip);
  }

  show(clip) {
    this.#words.textContent = describeState(clip);
    this.#detail.replaceChildren(...(clip.detail ? [saySentence(clip.detail)] : []));
    const share = shareDone(clip);
    if (share === null) this.#bar.removeAttribute("value"); // goes on, nobody knows how long
    else this.#bar.value = share;
  }
}

function shareDone(clip) {
  if (clip.state === "uploading") return clip.share;
  if (clip.state === "predicting" && clip.windowsTotal) return clip.windowsDone / clip.windowsTotal;
  return null;
}

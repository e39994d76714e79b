// A clip -> its answer: the player, what was predicted, what it rests on, and what to know of it.

import { makeAge, makeBars } from "./bars.js";
import { makeDownloads } from "./downloads.js";
import { button, find, make, printable } from "./elements.js";
import { Player } from "./player.js";
import { Progress } from "./progress.js";
import { say, sayNumber, saySentence } from "./texts.js";
import { Timeline } from "./timeline.js";

/** Shows one clip at a time: its progress, then its answer. */
export class Answer {
  #place = find("answer");
  #actions;
  #progress = null;
  #player = null;
  clip = null;

  /** `actions`: onCancel and onRemove, which get the clip. */
  constructor(actions) {
    this.#actions = actions;
  }

  /** Show a clip anew; the player stays where it was if it is the same clip. */
  show(clip) {
    const time = this.clip === clip ? this.#player?.time : 0;
    const hadFocus = this.#place.contains(document.activeElement); // such as on "Cancel"
    this.#player?.stop();
    this.#player = null;
    this.#progress = null;
    this.clip = clip;
    this.#place.hidden = clip === null;
    if (clip !== null) this.#place.replaceChildren(makeTitle(clip), ...this.#makeParts(clip));
    if (time) this.#player?.seek(time);
    if (hadFocus) this.#place.focus();
  }

  /** Show how far the clip is, without making all anew. */
  follow(clip) {
    this.#progress?.show(clip);
  }

  #makeParts(clip) {
    switch (clip.state) {
      case "done":
        return this.#makeAnswer(clip);
      case "failed":
      case "cancelled":
        return [makeEnd(clip), make("p", {}, this.#makeRemoval(clip))];
      default:
        this.#progress = new Progress(clip, this.#actions.onCancel);
        return [this.#progress.element];
    }
  }

  #makeAnswer(clip) {
    const { prediction } = clip;
    this.#player = new Player(clip);
    const isPicture = this.#player.kind === "picture";
    const hasTimeline = !isPicture && prediction.length_sec > 0;
    const timeline = hasTimeline ? new Timeline(prediction, this.#player).element : null;
    const facts = make("div", { class: "facts" },
      makeFacts(prediction), makeGrounds(prediction), makeNotes(prediction.notes));
    return [
      prediction.gender ? makeWarnings(prediction.warnings) : null, // else there is nothing to trust
      make("div", { class: "columns" }, this.#player.element, facts),
      timeline,
      makeDownloads(clip, isPicture, this.#makeRemoval(clip)),
      makeModel(prediction.model),
    ].filter(Boolean);
  }

  #makeRemoval(clip) {
    return button(say("answer.remove"), () => this.#actions.onRemove(clip), { class: "remove" });
  }
}

/** Return a box with sentences, the same for a model and for a clip. */
export function makeWarnings(warnings) {
  if (warnings.length === 0) return null;
  const sentences = warnings.map((warning) => saySentence(warning, "li"));
  return make("div", { class: "warnings", role: "note", "aria-label": say("warnings.title") },
    make("strong", {}, say("warnings.title")), make("ul", {}, sentences));
}

function makeTitle(clip) {
  return make("h2", { id: "answer-title" }, make("bdi", {}, printable(clip.name)));
}

function makeEnd(clip) {
  const why = clip.detail ? saySentence(clip.detail) : "";
  return make("p", { class: clip.state === "failed" ? "failed" : "quiet" }, say(`state.${clip.state}`), " ", why);
}

function makeFacts(prediction) {
  if (!prediction.gender || !prediction.age) {
    return [make("p", { class: "nothing" }, say("answer.nothing"))];
  }
  const { gender, mask_type: mask } = prediction;
  return [
    makeBars("gender", gender),
    makeAge(prediction),
    mask ? makeBars("mask", mask) : make("div", { class: "fact" },
      make("h3", {}, say("answer.mask")), make("p", { class: "quiet" }, say("answer.no-mask-type"))),
  ];
}

function makeGrounds(prediction) {
  const { audio, face } = prediction.modalities;
  const title = say(prediction.gender ? "grounds.title" : "grounds.why-not");
  return make("div", { class: "fact" }, make("h3", {}, title),
    make("ul", { class: "grounds" }, makeGround("voice", audio), makeGround("face", face)));
}

/** What was chosen in a file with several tracks, and messages of the decoder: for who wants them. */
function makeNotes(notes) {
  if (notes.length === 0) return "";
  const lines = notes.map((note) => saySentence(note, "li"));
  return make("details", { class: "notes" },
    make("summary", {}, say("answer.notes")), make("ul", {}, lines));
}

function makeGround(name, { usable, reason, unfamiliarity }) {
  const line = make("li", { class: usable ? "used" : "unused" },
    make("strong", {}, say(`grounds.${name}`)), ": ", say(usable ? "grounds.used" : "grounds.unused"));
  if (reason) line.append(" – ", saySentence(reason));
  if (unfamiliarity !== null) {
    const values = { distance: sayNumber(unfamiliarity, 2) };
    const key = unfamiliarity > 1 ? "grounds.unfamiliar" : "grounds.familiar";
    line.append(make("span", { class: "quiet" }, " ", say(key, values)));
  }
  return line;
}

function makeModel(model) {
  const more = button(say("answer.more-on-model"), () => {
    find("model").scrollIntoView();
    find("model").focus();
  }, { class: "link" });
  const values = { head: printable(model.head), corpora: printable(model.trained_on) };
  return make("p", { class: "quiet" }, say("answer.model", values), " ", more);
}

// All clips of this visit -> a table that sorts, and that is saved as CSV and JSON.

import { ENDED } from "./api.js";
import { saveCsv, saveJson } from "./downloads.js";
import { button, find, make, printable } from "./elements.js";
import { describeState } from "./progress.js";
import { say, sayLabel, sayNumber, sayPercent, saySentence } from "./texts.js";

/** What a column shows, and what it is sorted by; null sorts to the end. */
const COLUMNS = {
  name: { order: (clip) => clip.name },
  state: { order: (clip) => describeState(clip) },
  gender: { order: (clip) => clip.prediction?.gender?.label ?? null },
  age: { order: (clip) => clip.prediction?.age?.value ?? null, isNumber: true },
  interval: { order: (clip) => clip.prediction?.age?.interval?.[0] ?? null, isNumber: true },
  mask: { order: (clip) => clip.prediction?.mask_type?.label ?? null },
  grounds: { order: (clip) => (clip.prediction ? sayGrounds(clip) : null) },
  unfamiliar: { order: (clip) => clip.prediction?.unfamiliarity ?? null, isNumber: true },
};

/** Shows the clips; `onSelect` gets the one whose name is pressed. */
export class ClipTable {
  #clips;
  #onSelect;
  #sortedBy = null;
  #isDescending = false;
  #rows = new Map();
  selected = null;
  model = {}; // what predictions say of it

  constructor(clips, onSelect) {
    this.#clips = clips;
    this.#onSelect = onSelect;
    find("clips-csv").addEventListener("click", () => saveCsv(this.#predictions(), "predictions.csv"));
    find("clips-json").addEventListener("click", () => saveJson(this.#predictions(), "predictions.json"));
  }

  /** Make the table anew; one clip needs none. */
  show() {
    find("clips").hidden = this.#clips.all.length < 2;
    const rows = this.#sorted().map((clip) => this.#makeRow(clip));
    this.#rows = new Map(rows.map((row) => [row.clip, row.element]));
    const caption = make("caption", { class: "unseen" }, say("clips.caption"));
    const head = make("thead", {}, make("tr", {}, this.#makeHead()));
    const body = make("tbody", {}, rows.map((row) => row.element));
    const focused = document.activeElement?.dataset.key;
    find("clips-table").replaceChildren(make("table", {}, caption, head, body));
    if (focused) this.#focus(focused);
  }

  /** Give the focus to the new button in place of the old one, or to the table if there is none. */
  #focus(key) {
    const table = find("clips-table");
    const place = find("clips").hidden ? find("answer") : table;
    (table.querySelector(`[data-key="${key}"]`) ?? place).focus();
  }

  /** Show the state of one clip; its row stays where it is. */
  follow(clip) {
    const cell = this.#rows.get(clip)?.querySelector(".state");
    if (cell) cell.textContent = describeState(clip);
  }

  /** In the order that is shown; the name of the file is known to this page alone. */
  #predictions() {
    const ended = this.#sorted().filter((clip) => ENDED.includes(clip.state));
    return ended.map((clip) => ({ ...(clip.prediction ?? makeEmpty(clip, this.model)), input: clip.name }));
  }

  #sorted() {
    const clips = this.#clips.all;
    if (this.#sortedBy === null) return clips;
    const { order } = COLUMNS[this.#sortedBy];
    const sign = this.#isDescending ? -1 : 1;
    return clips.toSorted((one, other) => compare(order(one), order(other), sign));
  }

  #makeHead() {
    const names = Object.keys(COLUMNS).map((name) => {
      const isSorted = name === this.#sortedBy;
      const order = this.#isDescending ? "descending" : "ascending";
      const sort = button(say(`column.${name}`), () => this.#sortBy(name), { "data-key": `sort-${name}` });
      const kind = COLUMNS[name].isNumber ? "number" : null;
      return make("th", { scope: "col", class: kind, "aria-sort": isSorted ? order : null }, sort);
    });
    return [...names, make("th", { scope: "col" }, make("span", { class: "unseen" }, say("column.action")))];
  }

  #sortBy(name) {
    this.#isDescending = this.#sortedBy === name && !this.#isDescending;
    this.#sortedBy = name;
    this.show();
  }

  #makeRow(clip) {
    const select = button(printable(clip.name), () => this.#onSelect(clip), {
      class: "link", "data-key": `clip-${clip.number}`, "aria-current": clip === this.selected ? "true" : null,
    });
    const cells = Object.entries(makeCells(clip)).map(([name, content]) =>
      make("td", { class: COLUMNS[name].isNumber ? "number" : name }, ...[content].flat()));
    const element = make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, select)), cells,
      make("td", {}, this.#makeAction(clip)));
    return { clip, element };
  }

  #makeAction(clip) {
    const isEnded = ENDED.includes(clip.state);
    const key = isEnded ? "clips.remove" : "progress.cancel";
    const act = () => (isEnded ? this.#clips.remove(clip) : this.#clips.cancel(clip));
    return button(say(key), act, {
      "aria-label": `${say(key)}: ${printable(clip.name)}`, "data-key": `act-${clip.number}`,
      class: isEnded ? "remove" : "cancel",
    });
  }
}

/** Return what `oragen predict` writes of a clip without an answer: its reason is in the modalities. */
function makeEmpty(clip, model) {
  const unused = { usable: false, reason: clip.detail ?? clip.state, unfamiliarity: null };
  return {
    schema_version: 1, input: clip.name, status: "no_predictions",
    gender: null, age: null, mask_type: null, num_windows: 0, windows: [],
    modalities: { audio: unused, face: unused }, speech: [], faces: [], length_sec: 0, notes: [],
    quality: { speech_sec: null, snr_db: null, face_px: null, sharpness: null, num_crops: 0 },
    unfamiliarity: null, unfamiliar: null, warnings: [], model,
  };
}

function makeCells(clip) {
  const { gender, age, mask_type: mask, unfamiliarity } = clip.prediction ?? {};
  const known = (value, shown) => (value === null || value === undefined ? "" : shown());
  return {
    state: sayEnd(clip),
    gender: known(gender, () => sayBest("gender", gender)),
    age: known(age, () => sayNumber(age.value, 1)),
    interval: known(age?.interval, () => age.interval.map((years) => sayNumber(years)).join("–")),
    mask: known(mask, () => sayBest("mask", mask)),
    grounds: clip.prediction ? sayGrounds(clip) : "",
    unfamiliar: known(unfamiliarity, () => sayNumber(unfamiliarity, 2)),
  };
}

/** Return the state, and why there is no answer. */
function sayEnd(clip) {
  if (clip.state === "failed" && clip.detail) return [saySentence(clip.detail)];
  if (clip.prediction === null || clip.prediction.gender) return [describeState(clip)];
  const reasons = Object.values(clip.prediction.modalities).map(({ reason }) => reason).filter(Boolean);
  const told = [...new Set(reasons)].flatMap((reason) => [", ", saySentence(reason)]).slice(1);
  return told.length > 0 ? [`${describeState(clip)}: `, ...told] : [describeState(clip)];
}

function sayBest(task, predicted) {
  return `${sayLabel(task, predicted.label)} ${sayPercent(predicted.probabilities[predicted.label])}`;
}

function sayGrounds(clip) {
  const { audio, face } = clip.prediction.modalities;
  const used = [audio.usable && say("grounds.voice"), face.usable && say("grounds.face")].filter(Boolean);
  return used.join(", ") || say("grounds.none");
}

function compare(one, other, sign) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one === "number") return sign * (one - other);
  return sign * one.localeCompare(other, undefined, { numeric: true });
}

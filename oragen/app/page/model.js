// What the service says of its model -> a part of the page, and what to know before asking.

import { makeWarnings } from "./answer.js";
import { find, make, printable } from "./elements.js";
import { sayLength } from "./length.js";
import { say, sayAmount, sayLabel, sayNumber } from "./texts.js";

const MOST_LINES = 2000; // of a card
const MOST_CHARACTERS = 2000; // of a line

/** Show the model, its warnings, and the limits of the service. */
export function showModel(model) {
  const warnings = makeWarnings(model.warnings);
  find("model-warnings").hidden = warnings === null;
  find("model-warnings").replaceChildren(...(warnings?.childNodes ?? []));
  find("limits").textContent = sayLimits(model.limits);
  find("version").textContent = `oragen ${printable(model.version)}`;
  find("model-facts").replaceChildren(makeFacts(model), makeTraining(model.training_data),
    makeLicences(model.licences), makeDescription(model.description), makeCard(model.card));
  offerUses(model.modalities);
}

/** A model of one modality leaves no choice. */
function offerUses(modalities) {
  find("uses").closest("p").hidden = modalities.length < 2;
}

function sayLimits({ max_upload_mb, max_duration_s }) {
  return say("file.limits", { size: sayAmount(max_upload_mb), length: sayLength(max_duration_s) });
}

function makeFacts(model) {
  const modalities = model.modalities.map((name) => say(name === "audio" ? "grounds.voice" : "grounds.face"));
  const facts = {
    "model.name": printable(model.name),
    "model.modalities": modalities.join(", "),
    "model.genders": model.genders.map((label) => sayLabel("gender", label)).join(", "),
    "model.masks": model.mask_types.map((label) => sayLabel("mask", label)).join(", ") || say("model.no-masks"),
  };
  return makeList(Object.entries(facts).map(([key, text]) => [say(key), text]));
}

function makeList(facts) {
  const lines = facts.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text)));
  return make("dl", {}, lines);
}

function makeTraining(training) {
  const title = make("h3", {}, say("training.title"));
  if (!training) return make("div", {}, title, make("p", {}, say("training.unknown")));
  const names = ["corpus", "speakers", "clips", "generated"];
  const head = names.map((name) => make("th", { scope: "col" }, say(`training.${name}`)));
  const rows = training.corpora.map((corpus) => make("tr", {},
    make("th", { scope: "row" }, printable(corpus.name)),
    make("td", { class: "number" }, sayCount(corpus.num_speakers)),
    make("td", { class: "number" }, sayCount(corpus.num_clips)),
    make("td", {}, sayKind(corpus.generated))));
  const table = make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
  const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": say("training.title") };
  const scroll = make("div", region, table);
  return make("div", {}, title, scroll, makeAges(training));
}

function makeAges({ youngest_years: youngest, oldest_years: oldest }) {
  if (youngest === null || oldest === null) return "";
  return make("p", {}, say("training.ages", { youngest: sayNumber(youngest), oldest: sayNumber(oldest) }));
}

function sayCount(number) {
  return number === null ? say("training.not-known") : sayNumber(number);
}

function sayKind(isGenerated) {
  if (isGenerated === null) return say("training.not-known");
  return say(isGenerated ? "training.drawn" : "training.people");
}

function makeLicences(licences) {
  if (licences.length === 0) return "";
  const lines = licences.map(({ what, licence }) => [printable(what), printable(licence)]);
  return make("div", {}, make("h3", {}, say("model.licences")), make("div", { lang: "en" }, makeList(lines)));
}

/** The card is a text of whoever made the model: it is shown as it stands. */
function makeCard(card) {
  if (!card) return "";
  const lines = card.split(/\r?\n/).slice(0, MOST_LINES).map((line) => printable(line, MOST_CHARACTERS));
  const text = make("pre", { class: "card", lang: "en", tabindex: 0, "aria-label": say("model.card") }, lines.join("\n"));
  return make("details", {}, make("summary", {}, say("model.card")), text);
}

function makeDescription(description) {
  const facts = Object.entries(description).filter(([, text]) => typeof text === "string");
  const shown = facts.map(([name, text]) => [printable(name).replaceAll("_", " "), printable(text)]);
  const list = make("div", { lang: "en" }, makeList(shown));
  return make("details", {}, make("summary", {}, say("model.details")), list);
}

// Wires the page: what is chosen or recorded is asked about, and what is answered is shown.

import { Answer } from "./answer.js";
import { readJson, removeJob } from "./api.js";
import { Recorder } from "./camera.js";
import { Clips } from "./clips.js";
import { agree, showConsent } from "./consent.js";
import { button, find, pause, printable } from "./elements.js";
import { showExamples } from "./examples.js";
import { listenForFiles } from "./files.js";
import { showModel } from "./model.js";
import { describePrediction, describeState } from "./progress.js";
import { clearProblem, report, tell } from "./status.js";
import { ClipTable } from "./table.js";
import { listenForTabs } from "./tabs.js";
import { currentLanguage, keepLanguage, LANGUAGES, say, useLanguage, usualLanguage } from "./texts.js";
import { takeToken } from "./token.js";

const clips = new Clips();
const answer = new Answer({ onCancel: (clip) => clips.cancel(clip), onRemove: remove });
const table = new ClipTable(clips, (clip) => {
  select(clip);
  find("answer").scrollIntoView();
});
const recorder = new Recorder((file) => ask([file]));
let model = null;

await start();

async function start() {
  takeToken();
  window.addEventListener("hashchange", takeToken);
  listen(); // first, or what is chosen meanwhile is lost
  await useLanguage(usualLanguage());
  showLanguages();
  recorder.showTexts();
  model = await waitForModel();
  if (model === null) {
    for (const place of document.querySelectorAll("[data-text='model.loading']")) place.remove();
    return;
  }
  table.model = { ...model.description, training_data: model.training_data };
  clips.maxBytes = model.limits.max_upload_mb * 1e6;
  clips.maxLengthS = model.limits.max_duration_s;
  showModel(model);
}

function listen() {
  listenForTabs(document.querySelector("[role=tablist]"), onTab);
  listenForFiles(ask);
  clips.addEventListener("change", (event) => onChange(event.detail));
  clips.addEventListener("list", onList);
  find("clips-clear").addEventListener("click", forgetAll);
  find("show-consent").addEventListener("click", showConsent);
  window.addEventListener("pagehide", leave);
}

/** Ask about files, if the reader agrees to the terms. */
async function ask(files) {
  clearProblem();
  if (!(await agree())) return;
  const added = clips.add(files, find("uses").value);
  select(added[0]);
  find(added.length > 1 ? "clips" : "answer").scrollIntoView();
}

function select(clip) {
  table.selected = clip;
  answer.show(clip);
  table.show();
}

function onChange({ clip, isNewState }) {
  if (!isNewState) {
    table.follow(clip);
    if (clip === answer.clip) answer.follow(clip);
    return;
  }
  table.show();
  if (clip === answer.clip) answer.show(clip);
  announce(clip);
}

function announce(clip) {
  const words = clip.state === "done" ? describePrediction(clip.prediction) : describeState(clip);
  const why = clip.state === "failed" && clip.detail ? ` ${clip.detail}` : "";
  tell(`${printable(clip.name)}: ${words}${why}`);
}

function onList() {
  if (!clips.all.includes(answer.clip)) select(clips.all.at(-1) ?? null);
  else table.show();
}

function remove(clip) {
  clips.remove(clip);
  tell(say("clips.removed", { name: printable(clip.name) }));
  if (clips.all.length === 0) find("ask").focus();
}

function forgetAll() {
  for (const clip of clips.all) clips.remove(clip);
  tell(say("clips.cleared"));
  find("ask").focus();
}

/** Nothing stays on the service when the page is left. A page that may come back keeps its clips. */
function leave(event) {
  recorder.stop();
  if (event.persisted) return;
  for (const clip of clips.all) if (clip.job) removeJob(clip.job);
}

function onTab(panel) {
  if (panel.id === "panel-examples") showExamples(ask);
  if (panel.id !== "panel-record") recorder.stop();
}

function showLanguages() {
  const choices = Object.entries(LANGUAGES).map(([name, words]) => {
    const isChosen = name === currentLanguage();
    return button(words, () => changeLanguage(name), { lang: name, "aria-pressed": String(isChosen) });
  });
  find("languages").replaceChildren(...choices);
}

async function changeLanguage(name) {
  await useLanguage(name);
  keepLanguage(name);
  showLanguages();
  find("languages").querySelector("[aria-pressed=true]").focus();
  recorder.showTexts();
  if (model) showModel(model);
  if (!find("panel-examples").hidden) showExamples(ask);
  table.show();
  answer.show(answer.clip);
}

/** The service answers before its model is loaded. */
async function waitForModel() {
  for (;;) {
    try {
      return await readJson("v1/model");
    } catch (error) {
      if (error.status !== 503) {
        report(error);
        return null;
      }
      tell(error.message);
      await pause(error.retryAfterS ?? 2);
    }
  }
}

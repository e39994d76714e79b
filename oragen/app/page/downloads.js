// Predictions, pictures and drawn clips -> files that the browser saves.

import { readFile } from "./api.js";
import { toCsv } from "./csv.js";
import { button, make } from "./elements.js";
import { report, tell } from "./status.js";
import { say } from "./texts.js";

const KEPT_MS = 60_000; // a file, for the browser to save it

/** Return the buttons below an answer; `removal` is the last of them. */
export function makeDownloads(clip, isPicture, removal) {
  const stem = clip.name.replace(/\.[^.]*$/, "") || "clip";
  const drawn = isPicture ? "drawn.png" : "drawn.mp4";
  const boxes = isPicture ? "downloads.drawn-picture" : "downloads.drawn";
  const pictures = [
    makeFetching("downloads.plot", clip, "plot.png", `${stem}-plot.png`),
    makeFetching(boxes, clip, drawn, `${stem}-${drawn}`),
  ];
  return make("div", { class: "downloads" },
    make("h3", {}, say("downloads.title")),
    make("p", { class: "buttons" },
      button("JSON", () => saveJson(clip.prediction, `${stem}.json`), { class: "save-json" }),
      button("CSV", () => saveCsv([clip.prediction], `${stem}.csv`), { class: "save-csv" }),
      clip.prediction.status === "ok" ? pictures : [],
      removal));
}

export function saveJson(content, name) {
  save(new Blob([`${JSON.stringify(content, null, 2)}\n`], { type: "application/json" }), name);
}

export function saveCsv(predictions, name) {
  save(new Blob([toCsv(predictions)], { type: "text/csv" }), name);
}

/** Links carry no token, so the page fetches what is then saved. */
function makeFetching(key, clip, path, name) {
  const fetching = button(say(key), async () => {
    if (fetching.getAttribute("aria-busy") === "true") return;
    fetching.setAttribute("aria-busy", "true");
    tell(say("downloads.making", { what: say(key) }));
    try {
      save(await readFile(`v1/jobs/${encodeURIComponent(clip.job)}/${path}`), name);
      tell(say("downloads.saved", { name }));
    } catch (error) {
      report(error);
    } finally {
      fetching.removeAttribute("aria-busy");
    }
  }, { class: `save-${path.replace(".", "-")}` });
  return fetching;
}

function save(content, name) {
  const url = URL.createObjectURL(content);
  const link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

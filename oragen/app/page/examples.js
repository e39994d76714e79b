// Clips that the demo generated -> buttons that ask about them.

import { readFile, readJson } from "./api.js";
import { button, find, make, printable } from "./elements.js";
import { report } from "./status.js";
import { say, sayNumber } from "./texts.js";

let examples = null;

/** Show the examples; they are read when they are first wanted. */
export async function showExamples(onFiles) {
  try {
    examples ??= await readJson("v1/examples");
  } catch (error) {
    if (error.status !== 404) report(error);
    examples = null;
  }
  const found = examples ?? [];
  find("examples-note").textContent = say(found.length > 0 ? "examples.note" : "examples.none");
  find("examples").replaceChildren(...found.map((example) => makeExample(example, onFiles)));
}

function makeExample(example, onFiles) {
  const ask = button(printable(example.name), async () => {
    try {
      const content = await readFile(relative(example.url));
      onFiles([new File([content], example.name, { type: content.type })]);
    } catch (error) {
      report(error);
    }
  });
  const hasLength = typeof example.length_s === "number";
  const length = hasLength ? say("timeline.seconds", { seconds: sayNumber(example.length_s, 1) }) : "";
  return make("li", {}, ask, " ", make("span", { class: "quiet" }, length));
}

/** The service may lie below a path of a proxy. */
function relative(url) {
  return String(url).replace(/^\/+/, "");
}

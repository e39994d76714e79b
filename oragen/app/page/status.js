// What happened -> a line for screen readers; what went wrong -> a line for all.

import { ProblemError } from "./api.js";
import { button, find } from "./elements.js";
import { say, saySentence } from "./texts.js";

/** Say to a screen reader what others see. */
export function tell(text) {
  find("status").textContent = text;
}

/** Show why something did not work; an error that is not the service's is one of the page. */
export function report(error) {
  const isKnown = error instanceof ProblemError;
  if (!isKnown) console.error(error);
  complain(isKnown ? error.message : say("problem.page"));
}

/** Show a sentence on what did not work, until it is put away. */
export function complain(sentence) {
  const away = button(say("problem.away"), clearProblem);
  find("problem").replaceChildren(saySentence(sentence, "p"), away);
}

export function clearProblem() {
  find("problem").replaceChildren();
}

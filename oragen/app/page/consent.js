// What the page is for, and the consent of those recorded: asked once, before the first upload.

import { find } from "./elements.js";

const KEPT_AS = "oragen-consent-1"; // a new number asks anew

let isGiven = false;

/** Return whether the reader has agreed, now or before. */
export async function agree() {
  if (isGiven || readKept()) return true;
  isGiven = await showConsent();
  if (isGiven) keep();
  return isGiven;
}

/** Show the text, and return whether the reader agreed. */
export function showConsent() {
  const dialog = find("consent");
  const box = find("consent-given");
  box.checked = isGiven || readKept();
  find("consent-yes").disabled = !box.checked;
  box.onchange = () => {
    find("consent-yes").disabled = !box.checked;
  };
  if (dialog.open) return Promise.resolve(false);
  dialog.returnValue = "no"; // Escape closes without a value
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function readKept() {
  try {
    return localStorage.getItem(KEPT_AS) === "yes";
  } catch {
    return false;
  }
}

function keep() {
  try {
    localStorage.setItem(KEPT_AS, "yes");
  } catch {
    // Nothing is kept for this page: it asks again next time.
  }
}

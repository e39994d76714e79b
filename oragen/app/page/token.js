// The token of the service: from the address that it printed, or asked for once.

import { find } from "./elements.js";
import { say } from "./texts.js";

const KEPT_AS = "oragen-token";

let token = null;
let asking = null;

/** Take the token out of the address, so that it is not seen, copied or kept with it. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    keep(given);
    history.replaceState(null, "", location.pathname + location.search);
  } else {
    token = readKept();
  }
}

/** Return the headers that prove the right to ask. */
export function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Ask for a token; false if the reader has none. Several requests share one question. */
export function askToken() {
  asking ??= show().finally(() => {
    asking = null;
  });
  return asking;
}

function show() {
  const dialog = find("token");
  find("token-wrong").textContent = token ? say("token.wrong") : "";
  find("token-text").value = "";
  dialog.returnValue = "no"; // Escape closes without a value
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = find("token-text").value.trim();
      const isGiven = dialog.returnValue === "yes" && given !== "";
      if (isGiven) keep(given);
      resolve(isGiven);
    }, { once: true });
  });
}

function keep(given) {
  token = given;
  try {
    sessionStorage.setItem(KEPT_AS, given);
  } catch {
    // Nothing is kept for this page: the token holds until it is closed.
  }
}

function readKept() {
  try {
    return sessionStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
}

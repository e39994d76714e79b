// A file of sound or video -> how long it is, before it is sent.

import { make } from "./elements.js";
import { say, sayAmount } from "./texts.js";

const PATIENCE_S = 2;

/** Return seconds; null for pictures, and where this browser cannot tell. */
export function measureLength(clip) {
  const kind = clip.file.type.split("/")[0];
  if (kind !== "video" && kind !== "audio") return Promise.resolve(null);
  const media = make(kind, { preload: "metadata", src: clip.url });
  return new Promise((resolve) => {
    const end = () => {
      resolve(Number.isFinite(media.duration) ? media.duration : null);
      media.removeAttribute("src");
    };
    for (const name of ["loadedmetadata", "error"]) media.addEventListener(name, end, { once: true });
    setTimeout(end, PATIENCE_S * 1000);
  });
}

/** Return a length in words: seconds up to two minutes, then minutes. */
export function sayLength(seconds) {
  if (seconds < 120) return say("length.seconds", { seconds: sayAmount(seconds) });
  return say("length.minutes", { minutes: sayAmount(seconds / 60) });
}

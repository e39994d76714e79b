// Camera and microphone -> a recording of half a minute at most, as a file to ask about.

import { find } from "./elements.js";
import { Level } from "./level.js";
import { complain, clearProblem, tell } from "./status.js";
import { say } from "./texts.js";

const MOST_S = 30;
const WARNED_S = 5; // before the end
const KINDS = {
  both: ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"],
  sound: ["audio/webm;codecs=opus", "audio/webm", "audio/mp4"],
};

/** The tab for recording. It is off, on (a picture is shown), recording, or has recorded. */
export class Recorder {
  #onFile;
  #state = "off";
  #stream = null;
  #recording = null;
  #file = null;
  #url = null;
  #level = new Level(find("level"));
  #timer = null;
  #began = 0;

  constructor(onFile) {
    this.#onFile = onFile;
    find("record-main").addEventListener("click", () => this.#goOn());
    find("record-off").addEventListener("click", () => this.stop());
    find("record-use").addEventListener("click", () => this.#onFile(this.#file));
    for (const choice of sources()) choice.addEventListener("change", () => this.stop());
  }

  /** Show what can be done now, or why nothing can. */
  showTexts() {
    const refusal = findRefusal();
    find("record-refused").hidden = refusal === null;
    find("record-refused").textContent = refusal ? say(refusal) : "";
    find("recorder").hidden = refusal !== null;
    this.#show();
  }

  /** Turn camera and microphone off, and forget what was recorded. */
  stop() {
    const hadFocus = document.activeElement === find("record-off");
    this.#end();
    this.#turnOff();
    this.#file = null;
    this.#enter("off");
    if (hadFocus) find("record-main").focus(); // its button is gone
  }

  #goOn() {
    clearProblem();
    switch (this.#state) {
      case "on":
        return this.#record();
      case "recording":
        return this.#end();
      default:
        return this.#turnOn();
    }
  }

  async #turnOn() {
    this.#enter("asking");
    const isVideo = source() === "both";
    try {
      const wanted = { audio: true, video: isVideo && { facingMode: "user" } };
      const stream = await navigator.mediaDevices.getUserMedia(wanted);
      if (this.#state !== "asking") return stopTracks(stream); // the tab was left meanwhile
      this.#stream = stream;
    } catch (error) {
      complain(say(explain(error)));
      return this.#enter("off");
    }
    this.#level.follow(this.#stream);
    this.#enter("on");
    return tell(say("record.is-on"));
  }

  #record() {
    const type = KINDS[source()].find((name) => MediaRecorder.isTypeSupported(name));
    const parts = [];
    this.#recording = new MediaRecorder(this.#stream, type ? { mimeType: type } : {});
    this.#recording.ondataavailable = (event) => parts.push(event.data);
    this.#recording.onstop = () => this.#take(parts);
    this.#recording.start();
    this.#began = performance.now();
    this.#timer = setInterval(() => this.#count(), 250);
    this.#enter("recording");
    tell(say("record.begun", { count: MOST_S }));
  }

  /** Count down in view; a screen reader hears of the last seconds once. */
  #count() {
    const left = Math.max(0, Math.ceil(MOST_S - (performance.now() - this.#began) / 1000));
    find("record-main").textContent = say("record.stop", { left });
    if (left === WARNED_S) tell(say("record.left", { count: left }));
    if (left === 0) this.#end();
  }

  #end() {
    clearInterval(this.#timer);
    if (this.#recording?.state === "recording") this.#recording.stop();
  }

  #take(parts) {
    const wasRecording = this.#state === "recording";
    const type = this.#recording.mimeType || parts[0]?.type || "";
    this.#recording = null;
    if (!wasRecording) return; // stopped to be forgotten
    this.#turnOff();
    const suffix = type.includes("mp4") ? "mp4" : "webm";
    this.#file = new File(parts, `${say("record.name")}.${suffix}`, { type: type.split(";")[0] });
    this.#enter("recorded");
    tell(say("record.done"));
  }

  #turnOff() {
    this.#level.stop();
    if (this.#stream) stopTracks(this.#stream);
    this.#stream = null;
  }

  #enter(state) {
    this.#state = state;
    URL.revokeObjectURL(this.#url);
    this.#url = state === "recorded" ? URL.createObjectURL(this.#file) : null;
    this.#show();
  }

  #show() {
    const isLive = this.#state === "on" || this.#state === "recording";
    const isRecorded = this.#state === "recorded";
    find("record-main").textContent = say(`record.do.${this.#state}`, { left: MOST_S });
    find("record-main").classList.toggle("recording", this.#state === "recording");
    find("record-main").classList.toggle("main", !isRecorded);
    find("record-use").hidden = !isRecorded;
    find("record-off").hidden = !isLive && !isRecorded;
    find("record-off").textContent = say(isRecorded ? "record.discard" : "record.off");
    find("level-line").hidden = !isLive;
    find("recorded").hidden = !isRecorded;
    find("recorded").textContent = isRecorded ? say("record.look") : "";
    this.#showMedia(isLive, isRecorded);
  }

  #showMedia(isLive, isRecorded) {
    const isVideo = source() === "both";
    const preview = find("preview");
    preview.hidden = !isVideo || !(isLive || isRecorded);
    preview.muted = isLive; // or the microphone would hear the loudspeaker
    preview.controls = isRecorded;
    preview.setAttribute("aria-label", say(isRecorded ? "record.preview" : "record.live"));
    if (preview.srcObject !== this.#stream) preview.srcObject = this.#stream;
    find("heard").hidden = isVideo || !isRecorded;
    setSource(preview, isVideo ? this.#url : null);
    setSource(find("heard"), isVideo ? null : this.#url);
    if (isLive && isVideo) preview.play().catch(() => null); // the browser may want a click first
  }
}

function setSource(media, url) {
  if (url) media.src = url;
  else media.removeAttribute("src");
}

function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}

function sources() {
  return document.querySelectorAll("input[name=source]");
}

function source() {
  return document.querySelector("input[name=source]:checked").value;
}

/** Return the text that says why nothing can be recorded; null if it can. */
function findRefusal() {
  if (!window.isSecureContext) return "record.not-secure";
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return "record.not-supported";
  return null;
}

function explain(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "record.not-allowed";
    case "NotFoundError":
    case "OverconstrainedError":
      return "record.not-found";
    default:
      return "record.not-readable";
  }
}

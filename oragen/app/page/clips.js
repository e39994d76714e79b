// Files -> clips with their jobs: asked a few at once, cancelled, forgotten.

import { ENDED, ProblemError, removeJob, upload, watchJob } from "./api.js";
import { pause } from "./elements.js";
import { measureLength, sayLength } from "./length.js";
import { say, sayAmount } from "./texts.js";

const AT_ONCE = 4; // browsers open six connections to a host; the page needs some
const MOST_TRIES = 30; // while the queue of the service is full

/** All clips of this visit. Events: `change` (detail: the clip), `list`. */
export class Clips extends EventTarget {
  #clips = [];
  #numRunning = 0;
  #numAdded = 0;
  maxBytes = Infinity;
  maxLengthS = Infinity;

  get all() {
    return [...this.#clips];
  }

  /** Ask about files: all of them wait at first. */
  add(files, uses) {
    const added = [...files].map((file) => this.#makeClip(file, uses));
    this.#clips.push(...added);
    this.dispatchEvent(new Event("list"));
    this.#next();
    return added;
  }

  cancel(clip) {
    if (ENDED.includes(clip.state)) return;
    clip.stopping.abort();
    if (clip.job) removeJob(clip.job);
    this.#change(clip, { state: "cancelled", detail: null });
  }

  /** Forget a clip, here and on the service. */
  remove(clip) {
    this.cancel(clip);
    if (clip.job) removeJob(clip.job);
    URL.revokeObjectURL(clip.url);
    this.#clips = this.#clips.filter((other) => other !== clip);
    this.dispatchEvent(new Event("list"));
  }

  #makeClip(file, uses) {
    this.#numAdded += 1;
    return {
      number: this.#numAdded, file, uses, name: file.name, url: URL.createObjectURL(file),
      state: "queued", share: 0, position: 0, windowsDone: 0, windowsTotal: null,
      job: null, prediction: null, detail: null, stopping: new AbortController(),
    };
  }

  #next() {
    const waiting = this.#clips.filter((clip) => clip.state === "queued");
    for (const clip of waiting.slice(0, AT_ONCE - this.#numRunning)) this.#run(clip);
  }

  async #run(clip) {
    this.#numRunning += 1;
    try {
      await this.#ask(clip);
    } catch (error) {
      if (!clip.stopping.signal.aborted) this.#fail(clip, error);
    } finally {
      this.#numRunning -= 1;
      this.#next();
    }
  }

  async #ask(clip) {
    this.#change(clip, { state: "uploading", share: 0 });
    await this.#checkLimits(clip);
    const job = await this.#upload(clip);
    this.#take(clip, job);
    if (ENDED.includes(job.state)) return;
    for await (const changed of watchJob(job.id, clip.stopping.signal)) this.#take(clip, changed);
  }

  /** What the service would refuse is not sent to it. */
  async #checkLimits(clip) {
    if (clip.file.size > this.maxBytes) throw tooLarge(clip.file, this.maxBytes);
    const lengthS = await measureLength(clip);
    if (lengthS > this.maxLengthS) throw tooLong(lengthS, this.maxLengthS);
    clip.stopping.signal.throwIfAborted();
  }

  /** Upload; while the queue is full, wait as long as the service asks for. */
  async #upload(clip) {
    const { signal } = clip.stopping;
    const onShare = (share) => this.#change(clip, { state: "uploading", share });
    for (let tries = 1; ; tries += 1) {
      try {
        return await upload(clip.file, clip.uses, { onShare, signal });
      } catch (error) {
        const isBusy = error.status === 503 && error.retryAfterS;
        if (!isBusy || tries >= MOST_TRIES) throw error;
        this.#change(clip, { state: "busy", detail: error.message });
        await pause(error.retryAfterS, signal);
      }
    }
  }

  #take(clip, job) {
    if (clip.stopping.signal.aborted) {
      removeJob(job.id); // cancelled between the end of the upload and its answer
      return;
    }
    const { id, state, position, windows_done, windows_total, prediction, detail } = job;
    const counts = { position, windowsDone: windows_done, windowsTotal: windows_total };
    this.#change(clip, { job: id, state, prediction, detail, ...counts });
  }

  #fail(clip, error) {
    const isKnown = error instanceof ProblemError;
    if (!isKnown) console.error(error);
    this.#change(clip, { state: "failed", detail: isKnown ? error.message : say("problem.page") });
  }

  #change(clip, changes) {
    const before = clip.state;
    Object.assign(clip, changes);
    const detail = { clip, isNewState: before !== clip.state };
    this.dispatchEvent(new CustomEvent("change", { detail }));
  }
}

function tooLarge(file, maxBytes) {
  const values = { size: sayAmount(file.size / 1e6), most: sayAmount(maxBytes / 1e6) };
  return new ProblemError(413, say("problem.too-large", values));
}

function tooLong(lengthS, maxLengthS) {
  const values = { length: sayLength(lengthS), most: sayLength(maxLengthS) };
  return new ProblemError(413, say("problem.too-long", values));
}

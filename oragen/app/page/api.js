// Requests of the page -> what the service answers; all else is a ProblemError with a sentence.

import { pause } from "./elements.js";
import { say } from "./texts.js";
import { askToken, authorization } from "./token.js";

const MOST_BREAKS = 5; // of a stream of events in a row
const BREAK_S = 1;
export const ENDED = ["done", "failed", "cancelled"]; // states of a job

/** Why a request has no answer, as the service says it. */
export class ProblemError extends Error {
  constructor(status, detail, retryAfterS = null) {
    super(detail);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** Return the JSON at a path. */
export async function readJson(path) {
  return (await request(path)).json();
}

/** Return the file at a path. */
export async function readFile(path) {
  return (await request(path)).blob();
}

/** Remove a job with its clip. What is gone already is no problem. */
export function removeJob(id) {
  const options = { method: "DELETE", headers: authorization(), keepalive: true };
  return fetch(`v1/jobs/${encodeURIComponent(id)}`, options).catch(() => null);
}

/**
 * Upload a file, and return its job.
 *
 * fetch() does not tell how much is sent, so XMLHttpRequest does it.
 */
export async function upload(file, uses, { onShare, signal }) {
  const form = new FormData();
  form.append("use_audio", String(uses !== "face"));
  form.append("use_face", String(uses !== "audio"));
  form.append("file", file, "upload"); // the service need not know the name
  for (;;) {
    const sent = await send(form, onShare, signal);
    if (sent.status !== 401 || !(await askToken())) return readSent(sent);
  }
}

/** Yield a job each time it changes, the last time with its prediction. */
export async function* watchJob(id, signal) {
  const path = `v1/jobs/${encodeURIComponent(id)}`;
  let isEnded = false; // the service closes the stream then
  for (let breaks = 0; breaks <= MOST_BREAKS; breaks += 1) {
    try {
      for await (const event of readEvents(await request(`${path}/events`, { signal }))) {
        breaks = 0;
        isEnded = event.kind === "end";
        yield JSON.parse(event.data);
      }
    } catch (error) {
      if (!isEnded && (signal.aborted || (error.status && error.status !== 503))) throw error;
      if (error.status === 503) { // too many streams: the job can be read all the same
        breaks = 0;
        const job = await (await request(path, { signal })).json();
        isEnded = ENDED.includes(job.state);
        yield job;
      }
    }
    if (isEnded) return;
    await pause(BREAK_S, signal);
  }
  throw new ProblemError(0, say("problem.network"));
}

async function request(path, options = {}) {
  for (;;) {
    const response = await fetch(path, { ...options, headers: authorization() }).catch((error) => {
      if (options.signal?.aborted) throw error;
      throw new ProblemError(0, say("problem.network"));
    });
    if (response.ok) return response;
    const problem = await readProblem(response);
    if (response.status !== 401) throw problem;
    if (!(await askToken())) throw new ProblemError(401, say("problem.token"));
  }
}

async function readProblem(response) {
  const problem = await response.json().catch(() => ({}));
  return toProblem(response.status, problem, response.headers.get("Retry-After"));
}

function toProblem(status, problem, retryAfter) {
  const detail = problem?.detail ?? say("problem.status", { status });
  return new ProblemError(status, String(detail), retryAfter ? Number(retryAfter) || null : null);
}

function send(form, onShare, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const abort = () => sending.abort();
    signal.addEventListener("abort", abort);
    sending.open("POST", "v1/predictions?wait_s=0");
    for (const [name, value] of Object.entries(authorization())) sending.setRequestHeader(name, value);
    sending.upload.onprogress = (event) => event.lengthComputable && onShare(event.loaded / event.total);
    sending.onload = () => resolve(sending);
    sending.onerror = () => reject(new ProblemError(0, say("problem.upload")));
    sending.onabort = () => reject(signal.reason);
    sending.onloadend = () => signal.removeEventListener("abort", abort);
    sending.send(form);
  });
}

function readSent(sent) {
  const answer = parse(sent.responseText);
  if (sent.status === 200 || sent.status === 202) return answer;
  throw toProblem(sent.status, answer, sent.getResponseHeader("Retry-After"));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** EventSource sends no token, so the stream is read by fetch(). */
async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).replaceAll("\r\n", "\n").split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const event = parseEvent(part);
      if (event.data) yield event;
    }
  }
}

function parseEvent(part) {
  const event = { kind: "message", data: "" };
  for (const line of part.split("\n")) {
    const [, name, value] = /^(event|data): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event.kind = value;
    if (name === "data") event.data += value;
  }
  return event;
}

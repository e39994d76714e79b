// Predictions -> CSV with the columns of `oragen predict`.

// What OWASP names for CSV injection, behind any number of our own marks: as neutralise() of
// oragen/schema/names.py.
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

const COUNTS = new Set(["num_windows", "num_crops"]);

/** Return one row a prediction; columns of labels are those of all predictions. */
export function toCsv(predictions) {
  const rows = predictions.map(flatten);
  const names = mergeNames(rows);
  const lines = rows.map((row) => names.map((name) => toCell(row[name], name)));
  return [names.map(toText), ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}

function flatten(prediction) {
  const { audio, face } = prediction.modalities;
  const [low, high] = prediction.age?.interval ?? [null, null];
  return {
    input: prediction.input, status: prediction.status,
    ...flattenClass("gender", prediction.gender),
    age: prediction.age?.value ?? null, age_low: low, age_high: high,
    ...flattenClass("mask_type", prediction.mask_type),
    num_windows: prediction.num_windows,
    audio_usable: audio.usable, audio_reason: audio.reason,
    face_usable: face.usable, face_reason: face.reason,
    length_sec: prediction.length_sec, ...prediction.quality,
    unfamiliarity: prediction.unfamiliarity, unfamiliar: prediction.unfamiliar,
    warnings: prediction.warnings.join(" ") || null,
  };
}

function flattenClass(task, predicted) {
  if (!predicted) return { [task]: null };
  const shares = Object.entries(predicted.probabilities).map(([label, share]) => [`${task}_${label}`, share]);
  const set = predicted.label_set?.join(" ") ?? null;
  return { [task]: predicted.label, ...Object.fromEntries(shares), [`${task}_set`]: set };
}

/** The order is that of the longest row, so that labels stand beside their task. */
function mergeNames(rows) {
  const keys = rows.map((row) => Object.keys(row)).toSorted((one, other) => other.length - one.length);
  return [...new Set(keys.flat())];
}

/** Python's way to write a value, as `oragen predict` does. */
function toCell(value, name) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return COUNTS.has(name) ? String(value) : toFloat(value);
  return toText(value);
}

function toFloat(value) {
  if (Number.isInteger(value)) return value.toFixed(1);
  if (Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/-(\d)$/, "-0$1");
}

function toText(value) {
  const text = FORMULA.test(value) && !isNumber(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function isNumber(text) {
  return text.trim() !== "" && !Number.isNaN(Number(text));
}

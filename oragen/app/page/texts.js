// Keys -> texts of the page in the language of the reader; sentences of the service too.

import { make, printable } from "./elements.js";

export const LANGUAGES = { en: "English", ru: "Русский" };
const KEPT_AS = "oragen-language";
const MAX_SENTENCE = 2000; // characters; a warning names up to nine corpora

let language = "en";
let texts = {};
let plurals = new Intl.PluralRules("en");
let sentences = [];

/** Return the language that was chosen here before, or that of the browser, if there are texts in it. */
export function usualLanguage() {
  const wanted = [readKept(), ...navigator.languages].filter(Boolean);
  const known = wanted.map((name) => name.slice(0, 2)).find((name) => name in LANGUAGES);
  return known ?? "en";
}

/** Load the texts of a language, and put them into the page. */
export async function useLanguage(name) {
  const response = await fetch(`static/texts/${name}.json`);
  texts = await response.json();
  language = name;
  plurals = new Intl.PluralRules(name);
  sentences = (texts.sentences ?? []).map(([pattern, text]) => [new RegExp(`^${pattern}$`), text]);
  document.documentElement.lang = name;
  document.title = say("title");
  applyTexts();
}

export function currentLanguage() {
  return language;
}

/** Remember a choice of the reader. */
export function keepLanguage(name) {
  try {
    localStorage.setItem(KEPT_AS, name);
  } catch {
    // The browser keeps nothing for this page: the choice holds until it is closed.
  }
}

/** Return a text, with `{name}` replaced; of texts with plural forms the one for `count`. */
export function say(key, values = {}) {
  const found = texts[key];
  if (found === undefined) return key;
  const text = typeof found === "string" ? found : (found[plurals.select(values.count)] ?? found.other);
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Return the word for a label of the model; labels that are not known stay as they are. */
export function sayLabel(task, label) {
  const key = `${task}.${label}`;
  return key in texts ? say(key) : printable(label);
}

/** Return a sentence of the service in an element; it stays English if there is no translation. */
export function saySentence(sentence, tag = "span") {
  for (const [pattern, text] of sentences) {
    const found = pattern.exec(sentence);
    if (found) return make(tag, {}, printable(translate(text, found), MAX_SENTENCE));
  }
  const isOurs = /\p{Script=Cyrillic}/u.test(sentence); // of this page, so it is translated
  return make(tag, { lang: isOurs ? null : "en" }, printable(sentence, MAX_SENTENCE));
}

/** Put the numbers and names of a sentence into its translation. */
function translate(text, found) {
  return text.replace(/\$(\d)/g, (_, index) => {
    const decimals = /^\d+\.(\d+)$/.exec(found[index]);
    if (found[index] === undefined) return say("training.not-known");
    return decimals ? sayNumber(Number(found[index]), decimals[1].length) : found[index];
  });
}

/** Return a number with so many digits behind the point, as it is written in this language. */
export function sayNumber(value, digits = 0) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, options).format(value);
}

/** Return an amount with no more digits behind the point than it needs. */
export function sayAmount(value) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: value < 10 ? 3 : 0 }).format(value);
}

/** Return a share in per cent: neither 0 nor 100 where it is only near. */
export function sayPercent(share) {
  const isNear = (share > 0 && share < 0.01) || (share > 0.99 && share < 1);
  const options = { style: "percent", maximumFractionDigits: isNear ? 1 : 0 };
  const format = new Intl.NumberFormat(language, options);
  if (share > 0 && share < 0.0005) return `<\u00a0${format.format(0.001)}`;
  if (share > 0.9995 && share < 1) return `>\u00a0${format.format(0.999)}`;
  return format.format(share);
}

/** Put texts into the elements that ask for one. */
export function applyTexts(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
}

function readKept() {
  try {
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
}

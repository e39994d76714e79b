// Words and attributes -> elements of HTML and SVG. Text is never read as markup.

const SVG = "http://www.w3.org/2000/svg";
// Control characters, what turns the direction of writing, and what is invisible: as printable()
// of oragen/schema/names.py.
const UNSAFE =
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const MAX_SHOWN = 300; // characters of a name of a stranger

/** Return an element of HTML; `onclick` and the like are listeners, `false` and `null` are left out. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return an element of SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Return a text in one line, with escapes for what is not safe to show. */
export function printable(text, most = MAX_SHOWN) {
  const shown = String(text).slice(0, most).replace(UNSAFE, escapeCharacter);
  return String(text).length > most ? `${shown}…` : shown;
}

/** Return a button with a text. */
export function button(text, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text);
}

/** Return the element of that id. */
export function find(id) {
  return document.getElementById(id);
}

/** Wait for some seconds, or until the signal aborts. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function escapeCharacter(character) {
  const code = character.charCodeAt(0);
  return code < 256
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

// Files that are chosen, dropped or pasted -> the page.

import { find } from "./elements.js";

/** Call `onFiles` with the files that are chosen, or dropped or pasted anywhere on the page. */
export function listenForFiles(onFiles) {
  const input = find("files");
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (files.length > 0) onFiles(files);
  });
  listenForDrops(onFiles);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) onFiles(files);
  });
}

function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

/** A file beside the field would replace the page, so that the whole page takes it. */
function listenForDrops(onFiles) {
  const page = document.documentElement;
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    page.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) page.classList.remove("over"); // out of the window
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    page.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length > 0) onFiles(files);
  });
}

// Files that are chosen or dropped -> the page.

import { find } from "./elements.js";

/** Call `onFiles` with the files that are chosen, or dropped anywhere on the page. */
export function listenForFiles(onFiles) {
  const input = find("files");
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (files.length > 0) onFiles(files);
  });
  listenForDrops(onFiles);
}

/** A file beside the field would replace the page, so that the whole page takes it. */
function listenForDrops(onFiles) {
  const field = find("drop");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    field.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) field.classList.remove("over"); // out of the window
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    field.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length > 0) onFiles(files);
  });
}

// Tabs by mouse and by keys, as the ARIA patterns have them.

/** Let tabs choose among their panels; `onChange` gets the panel that is shown. */
export function listenForTabs(list, onChange) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  for (const tab of tabs) tab.addEventListener("click", () => choose(tabs, tab, onChange));
  list.addEventListener("keydown", (event) => {
    const next = findNext(tabs, event.key);
    if (next === undefined) return;
    event.preventDefault();
    choose(tabs, next, onChange);
    next.focus();
  });
  choose(tabs, tabs[0], () => {});
}

function findNext(tabs, key) {
  const now = tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
  switch (key) {
    case "ArrowRight":
      return tabs[(now + 1) % tabs.length];
    case "ArrowLeft":
      return tabs.at(now - 1);
    case "Home":
      return tabs[0];
    case "End":
      return tabs.at(-1);
    default:
      return undefined;
  }
}

function choose(tabs, chosen, onChange) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    panelOf(tab).hidden = tab !== chosen;
  }
  onChange(panelOf(chosen));
}

function panelOf(tab) {
  return document.getElementById(tab.getAttribute("aria-controls"));
}

"""The style sheet of the page: light, dark, narrow and on paper."""

from typing import Final

STYLE: Final = """\
:root {
  color-scheme: light dark;
  --paper: #ffffff;
  --sheet: #f6f7f9;
  --ink: #1d2430;
  --quiet: #5a6474;
  --line: #d9dee6;
  --accent: #0060a0;
  --stripe: #fafbfc;
}

@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f;
    --sheet: #1d232c;
    --ink: #e4e8ee;
    --quiet: #a0abba;
    --line: #333c49;
    --accent: #74b9f0;
    --stripe: #181d25;
  }

  .picture img {
    filter: brightness(0.9);
  }
}

* {
  box-sizing: border-box;
}

html {
  scroll-padding-top: 1rem;
  text-size-adjust: 100%;
}

body {
  margin: 0;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans",
    sans-serif;
}

.frame {
  display: grid;
  grid-template-columns: 13rem minmax(0, 1fr);
  gap: 2.5rem;
  max-width: 90rem;
  margin: 0 auto;
  padding: 2.5rem 2rem 5rem;
}

nav {
  position: sticky;
  top: 2.5rem;
  align-self: start;
  max-height: calc(100vh - 5rem);
  overflow-y: auto;
  font-size: 0.9rem;
}

nav p {
  margin: 0 0 0.5rem;
  color: var(--quiet);
  font-size: 0.75rem;
  font-weight: 600;
  letter-spacing: 0.08em;
  text-transform: uppercase;
}

nav ol {
  margin: 0;
  padding: 0;
  border-left: 1px solid var(--line);
  list-style: none;
}

nav a {
  display: block;
  padding: 0.3rem 0.9rem;
  color: var(--ink);
  text-decoration: none;
  overflow-wrap: anywhere;
}

nav a:hover,
nav a:focus-visible {
  color: var(--accent);
  text-decoration: underline;
}

:focus-visible {
  outline: 2px solid var(--accent);
  outline-offset: 2px;
}

.skip {
  position: absolute;
  left: -999rem;
}

.skip:focus {
  left: 1rem;
  top: 0.5rem;
  color: var(--accent);
}

h1,
h2 {
  line-height: 1.2;
  overflow-wrap: anywhere;
  text-wrap: balance;
}

h1 {
  margin: 0 0 1rem;
  font-size: 2.1rem;
  letter-spacing: -0.015em;
}

h2 {
  margin: 3.5rem 0 1rem;
  padding-top: 1.25rem;
  border-top: 1px solid var(--line);
  font-size: 1.4rem;
}

main p {
  max-width: 44rem;
  margin: 0 0 0.9rem;
}

figure {
  margin: 1.75rem 0;
}

figcaption strong {
  display: block;
  font-size: 1.05rem;
}

figcaption,
figcaption span {
  max-width: 44rem;
}

figcaption span,
.picture figcaption {
  display: block;
  color: var(--quiet);
  font-size: 0.9rem;
}

.scroll {
  max-height: 85vh;
  margin-top: 0.6rem;
  overflow: auto;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  width: fit-content;
  max-width: 100%;
}

table {
  border-collapse: separate;
  border-spacing: 0;
  font-size: 0.9rem;
  font-variant-numeric: tabular-nums;
}

th,
td {
  padding: 0.42rem 0.75rem;
  text-align: left;
  white-space: nowrap;
}

thead th {
  position: sticky;
  top: 0;
  z-index: 1;
  background: var(--sheet);
  border-bottom: 1px solid var(--line);
  font-size: 0.82rem;
  font-weight: 600;
  line-height: 1.3;
  text-wrap: balance;
  vertical-align: bottom;
  white-space: normal;
}

tbody th {
  position: sticky;
  left: 0;
  background: var(--paper);
  font-weight: 500;
}

thead th:first-child {
  left: 0;
  z-index: 2;
}

tbody tr + tr > * {
  border-top: 1px solid var(--line);
}

tbody tr + tr.group > * {
  border-top: 2px solid var(--quiet);
}

tbody tr:nth-child(even) > * {
  background: var(--stripe);
}

.number {
  text-align: right;
}

.pictures {
  display: flex;
  flex-wrap: wrap;
  align-items: flex-start;
  gap: 1.25rem;
  margin: 1.75rem 0;
}

/* Drawn with 120 dots an inch, so that 80 % is the size that was meant. */
.picture {
  width: min(100%, calc(var(--width) * 0.75px));
}

.pictures .picture {
  width: min(100%, calc(var(--width) * 0.64px));
  margin: 0;
}

.picture img {
  display: block;
  width: 100%;
  height: auto;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  background: #ffffff;
}

.picture figcaption {
  margin-top: 0.5rem;
}

@media (max-width: 60rem) {
  .frame {
    display: block;
    padding: 1.25rem 1rem 3rem;
  }

  nav {
    position: static;
    max-height: none;
    margin-bottom: 2rem;
  }

  h1 {
    font-size: 1.6rem;
  }

  h2 {
    margin-top: 2.5rem;
    font-size: 1.25rem;
  }

  tbody th {
    min-width: 6rem;
    max-width: 10rem;
    white-space: normal;
    overflow-wrap: break-word;
  }
}

@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff;
    --sheet: #ffffff;
    --ink: #000000;
    --quiet: #444444;
    --line: #bbbbbb;
    --stripe: #ffffff;
  }

  html {
    font-size: 9.5pt;
  }

  .frame {
    display: block;
    max-width: none;
    padding: 0;
  }

  nav,
  .skip {
    display: none;
  }

  .scroll {
    max-height: none;
    overflow: visible;
    border: 0;
  }

  table {
    font-size: 7.5pt;
  }

  th,
  td {
    padding: 0.2rem 0.4rem;
  }

  thead th,
  tbody th {
    position: static;
  }

  figure,
  tr,
  h2 {
    break-inside: avoid;
  }

  .table {
    break-inside: auto;
  }

  .pictures {
    display: block;
  }

  .pictures .picture {
    display: inline-block;
    margin: 0 0.5rem 0.5rem 0;
    vertical-align: top;
  }

  h2,
  figcaption {
    break-after: avoid;
  }

  .picture img {
    filter: none;
  }
}
"""

// What every script here uses, the button for dark mode, and tables that can be sorted and filtered.
"use strict";

// An element with these attributes (`onclick` and the like are listeners). Text is always text, never markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const counted = (number) => number.toLocaleString("en");

function themeButton(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    remember(theme);
    show();
  });
  system.addEventListener("change", show);
  show();
  button.hidden = false;
}

// What a row is sorted by: a number where the cell has one, else its text. Cells without either come last.
function sortKey(row, place) {
  const cell = row.cells[place];
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  return text === "" || (text === "–" && !cell.classList.contains("words")) ? null : text;
}

function compared(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

function sortedRows(rows, place, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = rows.map((row) => ({ row, key: sortKey(row, place) }));
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) return (one.key === null) - (other.key === null);
    return sign * compared(one.key, other.key);
  });
  return keyed.map((each) => each.row);
}

// Each header becomes a button: numbers from the largest on, words from A on, then the other way, then as given.
function sortable(table) {
  const body = table.tBodies[0];
  const given = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: first, [first]: second, [second]: "none" }[head.getAttribute("aria-sort")];
      for (const each of heads) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      body.replaceChildren(...(next === "none" ? given : sortedRows(given, place, next)));
    });
  });
}

function filterable(table, box) {
  const [input, output] = [box.querySelector("input"), box.querySelector("output")];
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const each of rows) each.row.hidden = !words.every((word) => each.text.includes(word));
    const left = rows.filter((each) => !each.row.hidden).length;
    output.textContent = words.length ? `${counted(left)} of ${counted(rows.length)}` : "";
  });
  box.hidden = false;
}

themeButton(document.querySelector("button.theme"));
for (const part of document.querySelectorAll("div.table")) {
  const table = part.querySelector("table");
  sortable(table);
  if (part.querySelector(".filter")) filterable(table, part.querySelector(".filter"));
}

// Light or dark: as the system has it, or as the reader chose here before. Runs before anything is painted.
"use strict";

const THEME = "harness-theme";

function remembered() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // some browsers keep nothing for pages from a disk
  }
}

function remember(theme) {
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // then it holds for this visit
  }
}

if (["light", "dark"].includes(remembered())) document.documentElement.dataset.theme = remembered();

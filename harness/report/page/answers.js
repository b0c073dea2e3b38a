// What one query's answers look like: cards with picture or sound, captions, and the path through the tree of tokens.
"use strict";

const LONG = 280; // letters of a caption that are shown at once

// A caption; of a long one the beginning, and a button for the rest.
function captionOf(text, className = "text") {
  const box = make("div", { class: className, dir: "auto" });
  const short = [...text.slice(0, 2 * LONG)].slice(0, LONG).join("");
  if (short.length >= text.length) {
    box.textContent = text;
    return box;
  }
  const words = make("span", {}, `${short} …`);
  const button = make("button", { type: "button", class: "more", "aria-expanded": "false" }, "more");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    words.textContent = open ? text : `${short} …`;
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "less" : "more";
  });
  box.append(words, " ", button);
  return box;
}

let playing = null; // one sound at a time

// A play button over the spectrogram, a line that moves along it, and the sound itself, made when it is first wanted.
function soundOf(medium, name) {
  const line = make("i", { class: "playhead", hidden: true });
  const told = make("span", { class: "told" });
  const button = make("button", { type: "button", class: "play", "aria-label": `Play ${name}` });
  const picture = medium.thumb
    ? make("img", { src: medium.thumb, alt: medium.alt ?? "", loading: "lazy" })
    : make("span", { class: "blank" });
  const box = make("div", { class: "medium audio" }, picture, line, medium.clip ? button : null, told);
  let sound = null;

  function move() {
    line.style.left = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
    if (!sound.paused) requestAnimationFrame(move);
  }
  function show() {
    const on = !sound.paused;
    box.classList.toggle("on", on);
    button.setAttribute("aria-label", `${on ? "Stop" : "Play"} ${name}`);
    line.hidden = !on;
    if (on) move();
  }
  function built() {
    sound = make("audio", { src: medium.clip });
    for (const event of ["play", "pause", "ended"]) sound.addEventListener(event, show);
    sound.addEventListener("loadedmetadata", () => (told.textContent = `${sound.duration.toFixed(1)} s`));
    sound.addEventListener("error", () => (told.textContent = unplayable(medium.clip)));
    box.append(sound);
  }
  button.addEventListener("click", () => {
    if (sound === null) built();
    if (!sound.paused) return sound.pause();
    if (playing !== null && playing !== sound) playing.pause();
    playing = sound;
    sound.currentTime = 0;
    sound.play().catch(() => {}); // the element's own error event says it
  });
  return box;
}

function unplayable(clip) {
  return clip.startsWith("data:") ? "this browser can't play it" : `can't be played: is ${clip} beside this page?`;
}

const moving = (clip) => clip.startsWith("data:image/") || /\.(webp|gif)$/i.test(clip);

// A film: its first picture, and on demand the film, without sound, over and over.
function filmOf(medium, name) {
  const box = make("div", { class: "medium video" });
  const film = () =>
    moving(medium.clip)
      ? make("img", { src: medium.clip, alt: medium.alt ?? "" })
      : make("video", { src: medium.clip, loop: true, controls: true, autoplay: true, playsinline: true });
  const start = () => {
    const shown = film();
    if (shown.tagName === "VIDEO") shown.muted = true;
    box.replaceChildren(shown);
  };
  const button = make("button", { type: "button", class: "play", "aria-label": `Play ${name}`, onclick: start });
  const picture = medium.thumb
    ? make("img", { src: medium.thumb, alt: medium.alt ?? "", loading: "lazy" })
    : make("span", { class: "blank" });
  box.append(picture);
  if (medium.clip) box.append(button);
  return box;
}

function pictureOf(medium, name) {
  const src = medium.thumb ?? medium.clip;
  const alt = medium.alt ?? "";
  const picture = src ? make("img", { src, alt, loading: "lazy" }) : alt;
  return make("div", { class: "medium image" }, medium.clip ? enlargeable(medium, name, picture) : picture);
}

function mediumOf(medium, name) {
  if (medium.kind === "audio") return soundOf(medium, name);
  return medium.kind === "video" ? filmOf(medium, name) : pictureOf(medium, name);
}

const scoreOf = (score) => (typeof score === "number" ? score.toPrecision(3) : "");

// A candidate as it is: picture or sound with its name, or its text.
function candidateOf(data, id) {
  const candidate = data.candidates[id];
  if (candidate === undefined) return [make("div", { class: "name" }, `candidate ${id}`)];
  const medium = candidate.medium === null || candidate.medium === undefined ? null : data.media[candidate.medium];
  return [
    medium && mediumOf(medium, candidate.name ?? `candidate ${id}`),
    typeof candidate.text === "string" ? captionOf(candidate.text) : null,
    make("div", { class: "name" }, make("bdi", {}, candidate.name ?? `candidate ${id}`)),
  ].filter(Boolean);
}

// One answer of one retriever to one query.
function answerOf(data, retriever, query, rank) {
  const id = retriever.ids[query][rank];
  const right = data.queries[query].right.includes(id);
  const path = retriever.paths?.[query]?.[rank];
  return make(
    "li",
    { class: right ? "answer right" : "answer" },
    make(
      "div",
      { class: "rank" },
      make("span", {}, String(rank + 1)),
      right ? make("strong", { class: "verdict-mark" }, "✓ right") : null,
      make("span", { class: "score", title: "score" }, scoreOf(retriever.scores?.[query]?.[rank])),
    ),
    ...candidateOf(data, id),
    path ? pathOf(path, retriever.right_tokens?.[query] ?? null) : null,
  );
}

const percent = (share) => (share >= 0.0995 ? `${(100 * share).toFixed(0)} %` : `${(100 * share).toPrecision(2)} %`);

// The way down the tree: a level a row, each token with its odds given those before, and the odds of all so far.
function pathOf(path, right) {
  const summary = make("summary", {}, "path ", make("code", {}, path.tokens.join(" · ")));
  const details = make("details", { class: "path" }, summary);
  details.addEventListener("toggle", () => details.children.length === 1 && details.append(levelsOf(path, right)));
  return details;
}

function levelsOf(path, right) {
  let product = 1;
  let together = true; // still on the right one's way
  const body = make("tbody");
  path.tokens.forEach((token, level) => {
    const odds = path.odds[level];
    product *= odds;
    const same = right !== null && token === right[level];
    const leaves = right !== null && together && !same;
    together = together && same;
    const bar = make("i", { class: "odds" });
    bar.style.width = `${100 * odds}%`;
    body.append(
      make(
        "tr",
        { class: right === null || together ? null : leaves ? "leaves" : "apart" },
        make("th", { scope: "row" }, String(level + 1), bar),
        make("td", {}, make("code", {}, String(token))),
        make("td", {}, percent(odds)),
        make("td", {}, percent(product)),
        right && make("td", {}, `${same ? "=" : "≠"} `, make("code", {}, String(right[level] ?? "–"))),
      ),
    );
  });
  const names = ["level", "token", "odds", "so far", ...(right === null ? [] : ["right"])];
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const table = make("table", {}, make("thead", {}, head), body);
  const left = [...body.rows].findIndex((row) => row.className === "leaves");
  const said = left < 0 ? null : make("p", {}, `It leaves the right one's path at level ${left + 1}.`);
  return make("div", { class: "levels" }, table, said);
}

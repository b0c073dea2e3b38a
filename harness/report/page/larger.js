// A picture as large as the run has kept it, over the page: its button, Escape or a click beside it closes it.
"use strict";

// What stands where a picture is: a button that opens it larger, with the small picture on it.
function enlargeable(medium, name, picture) {
  const about = { type: "button", class: "enlarge", "aria-haspopup": "dialog", "aria-label": `Show ${name} larger` };
  return make("button", { ...about, onclick: () => showLarger(medium, name) }, picture);
}

function showLarger(medium, name) {
  const picture = make("img", { src: medium.clip, alt: medium.alt ?? "" });
  const told = make("p", { role: "status" });
  const close = make("button", { type: "button", class: "step", onclick: () => dialog.close() }, "Close");
  const below = make("div", { class: "which" }, make("bdi", { class: "name" }, name), close);
  const inside = make("div", { class: "frame" }, picture, told, below);
  const dialog = make("dialog", { class: "larger", "aria-label": name }, inside);
  picture.addEventListener("error", () => smaller(picture, medium, told), { once: true });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // what is beside the frame
  dialog.addEventListener("close", () => dialog.remove()); // the focus goes back by itself
  document.body.append(dialog);
  dialog.showModal();
}

// The larger picture isn't there: the small one, and why.
function smaller(picture, medium, told) {
  told.textContent = unshown(medium.clip);
  if (medium.thumb) picture.src = medium.thumb;
  else picture.remove();
}

function unshown(clip) {
  return clip.startsWith("data:") ? "this browser can't show it larger" : `no larger one: is ${clip} beside this page?`;
}

// Explorers are unpacked when they are first opened, and at the query that the address names.
"use strict";

async function unpacked(id) {
  if (document.readyState === "loading") await new Promise((done) => addEventListener("DOMContentLoaded", done));
  const holder = document.getElementById(id);
  const letters = atob(holder.textContent);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function address(text) {
  try {
    history.replaceState(null, "", `#${text.split("/").map(encodeURIComponent).join("/")}`);
  } catch {
    // a browser that lets no page from a disk name its place
  }
}

// Opens an explorer, once unpacked for good, at the query with this id (null: where it was, or the first).
const opened = new Map();

async function open(root, wanted) {
  const inside = root.querySelector(".inside");
  const fresh = !opened.has(root);
  if (fresh) {
    inside.textContent = "Unpacking …";
    opened.set(root, unpacked(root.dataset.payload).then((data) => explore(root, inside, data)));
  }
  try {
    const show = await opened.get(root);
    if (fresh || wanted !== null) show(wanted);
  } catch (error) {
    inside.textContent = `The answers could not be unpacked: ${error.message}. A newer browser may do it.`;
  }
}

async function followAddress() {
  let text = "";
  try {
    text = decodeURIComponent(location.hash.slice(1));
  } catch {
    return; // not one of ours
  }
  const parts = /^(.+)\/q([^/]*)$/.exec(text);
  const root = parts && [...document.querySelectorAll(".explorer")].find((each) => each.dataset.name === parts[1]);
  if (!root) return;
  const done = open(root, parts[2]);
  root.open = true;
  await done;
  root.scrollIntoView({ block: "start" });
}

for (const root of document.querySelectorAll(".explorer"))
  root.addEventListener("toggle", () => root.open && open(root, null));
addEventListener("hashchange", followAddress);
addEventListener("DOMContentLoaded", followAddress); // what is packed stands below this script

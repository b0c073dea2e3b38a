// The list of queries: thousands of options of which only those in view are drawn, moved through by keyboard.
"use strict";

const SPARE = 6; // rows drawn above and below what is seen

// A list of any length of which only what is seen is drawn. `rowOf(position)` makes one option's contents.
function longList(id, label, rowOf, chosen) {
  const inner = make("div", { role: "presentation" });
  const box = make("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": label }, inner);
  const probe = make("div", { class: "option" });
  let [length, active, selected, drawing] = [0, 0, -1, 0];

  function height() {
    box.append(probe);
    const found = probe.getBoundingClientRect().height;
    probe.remove();
    return found || 60;
  }
  function draw() {
    const row = height();
    inner.style.height = `${length * row}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / row) - SPARE);
    const last = Math.min(length, Math.ceil((box.scrollTop + box.clientHeight) / row) + SPARE);
    const options = [];
    for (let position = first; position < last; position++) {
      const marks = { "aria-setsize": length, "aria-posinset": position + 1, "data-position": position };
      const state = { role: "option", "aria-selected": String(position === selected) };
      const option = make("div", { id: `${id}-${position}`, class: "option", ...marks, ...state }, ...rowOf(position));
      option.classList.toggle("active", position === active);
      option.style.top = `${position * row}px`;
      options.push(option);
    }
    inner.replaceChildren(...options);
    if (active >= first && active < last) box.setAttribute("aria-activedescendant", `${id}-${active}`);
    else box.removeAttribute("aria-activedescendant");
  }
  function go(position) {
    if (length === 0) return;
    active = Math.min(length - 1, Math.max(0, position));
    const row = height();
    if (active * row < box.scrollTop) box.scrollTop = active * row;
    if ((active + 1) * row > box.scrollTop + box.clientHeight) box.scrollTop = (active + 1) * row - box.clientHeight;
    draw();
  }
  const page = () => Math.max(1, Math.floor(box.clientHeight / height()) - 1);
  const keys = {
    j: () => go(active + 1),
    ArrowDown: () => go(active + 1),
    k: () => go(active - 1),
    ArrowUp: () => go(active - 1),
    PageDown: () => go(active + page()),
    PageUp: () => go(active - page()),
    Home: () => go(0),
    End: () => go(length - 1),
    Enter: () => length && chosen(active),
    " ": () => length && chosen(active),
  };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  box.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) chosen(Number(option.dataset.position));
  });
  box.addEventListener("scroll", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(draw);
  });
  new ResizeObserver(draw).observe(box);
  return {
    box,
    // `count` options, of which this one is chosen; -1: none of them.
    show(count, position) {
      [length, selected] = [count, position];
      go(Math.max(0, position));
      if (!count) draw();
    },
  };
}

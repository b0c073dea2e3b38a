// One explorer: a list of queries to choose from, and the answers of several retrievers to one of them side by side.
"use strict";

const AT_FIRST = 4; // retrievers shown when an explorer opens

const KNOWN = ["single-tower", "dual-tower", "generative", "hybrid", "control"];
const colourOf = (retriever) => (KNOWN.includes(retriever.paradigm) ? retriever.paradigm : "other");

// Contestants only: one of each paradigm, then the others in their order.
function shownAtFirst(retrievers) {
  const contestants = retrievers.map((_, place) => place).filter((place) => retrievers[place].paradigm !== "control");
  const kinds = contestants.map((place) => retrievers[place].paradigm);
  const firsts = contestants.filter((_, place) => kinds.indexOf(kinds[place]) === place);
  return new Set([...new Set([...firsts, ...contestants])].slice(0, AT_FIRST));
}

// Builds one explorer inside `root`; returns a function that shows the query with a given id.
function explore(root, inside, data) {
  const verdicts = judged(data);
  const shown = shownAtFirst(data.retrievers);
  const words = data.queries.map((query) => wordsOf(data, query));
  const id = root.id;
  let [matches, chosen, filters] = [[], -1, []];

  const search = make("input", { type: "search", id: `${id}-search`, autocomplete: "off", spellcheck: "false" });
  const select = make("select", { id: `${id}-filter` });
  const count = make("p", { class: "matches", "aria-live": "polite" });
  const detail = make("div", { class: "detail", tabindex: "-1" });
  const list = longList(`${id}-query`, "Queries", (position) => rowOf(matches[position]), (position) => {
    choose(matches[position]);
    if (matchMedia("(max-width: 56rem)").matches) detail.scrollIntoView({ block: "start" });
  });

  function rowOf(query) {
    const of = data.queries[query];
    const medium = of.medium === null || of.medium === undefined ? null : data.media[of.medium];
    const places = [...shown].sort((one, other) => one - other);
    const asked = places.filter((place) => verdicts[place][query] !== null);
    const right = asked.filter((place) => verdicts[place][query]).length;
    const dots = asked.map((place) =>
      make("i", { class: `dot ${colourOf(data.retrievers[place])}${verdicts[place][query] ? "" : " hollow"}` }),
    );
    return [
      medium?.thumb ? make("img", { src: medium.thumb, alt: "" }) : null,
      make("span", { class: "words", dir: "auto" }, of.text?.slice(0, 240) ?? medium?.alt ?? ""),
      make(
        "span",
        { class: "under" },
        make("span", {}, `#${of.id}`),
        make("span", { class: "dots", "aria-hidden": "true" }, ...dots),
        make("span", {}, `${right} of ${asked.length} right`),
      ),
    ].filter(Boolean);
  }

  function narrow() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { keeps } = filters.find((each) => each.key === select.value);
    matches = data.queries
      .map((_, query) => query)
      .filter((query) => wanted.every((word) => words[query].includes(word)) && keeps(query));
    count.textContent = `${counted(matches.length)} of ${counted(data.queries.length)} queries`;
    list.show(matches.length, matches.indexOf(chosen));
  }

  function retrieversChanged() {
    filters = filtersOf(data, verdicts, shown);
    showFilters(select, filters);
    narrow();
    if (chosen >= 0) showDetail();
  }

  function choose(query, told = true) {
    chosen = query;
    list.show(matches.length, matches.indexOf(query));
    showDetail();
    if (told) address(`${root.dataset.name}/q${data.queries[query].id}`);
  }

  function showDetail() {
    const position = matches.indexOf(chosen);
    const step = (by, name) => {
      const next = position < 0 ? undefined : matches[position + by];
      const go = () => {
        choose(next);
        [...detail.querySelectorAll(".step")].find((each) => each.textContent === name && !each.disabled)?.focus();
      };
      return make("button", { type: "button", class: "step", disabled: next === undefined, onclick: go }, name);
    };
    const places = [...shown].sort((one, other) => one - other);
    detail.replaceChildren(
      questionOf(root, data, chosen, [step(-1, "previous"), step(1, "next")]),
      places.length
        ? make(
            "div",
            { class: "columns", role: "region", tabindex: "0", "aria-label": "Answers side by side" },
            ...places.map((place) => columnOf(data, data.retrievers[place], chosen, `${id}-column-${place}`)),
          )
        : make("p", {}, "No retriever is chosen."),
    );
  }

  const boxes = data.retrievers.map((retriever, place) => {
    const box = make("input", { type: "checkbox", checked: shown.has(place), value: String(place) });
    box.addEventListener("change", () => {
      if (box.checked) shown.add(place);
      else shown.delete(place);
      retrieversChanged();
    });
    const named = make("span", {}, make("bdi", {}, retriever.name), make("small", {}, ` ${retriever.paradigm}`));
    return make("label", {}, box, make("i", { class: `dot ${colourOf(retriever)}` }), named);
  });
  search.addEventListener("input", narrow);
  select.addEventListener("change", narrow);
  inside.replaceChildren(
    make("fieldset", {}, make("legend", {}, "Retrievers side by side"), make("div", { class: "boxes" }, ...boxes)),
    make(
      "div",
      { class: "split" },
      make(
        "div",
        { class: "side" },
        make("div", { class: "field" }, make("label", { for: search.id }, "Search queries"), search),
        make("div", { class: "field" }, make("label", { for: select.id }, "Show, by first answers"), select),
        count,
        list.box,
        make("p", { class: "keys" }, "In the list: j, k or arrows move, Enter opens."),
      ),
      detail,
    ),
  );
  retrieversChanged();
  return (wanted) => {
    const query = wanted === null ? 0 : data.queries.findIndex((each) => String(each.id) === wanted);
    if (query >= 0 && query < data.queries.length) choose(query, false);
  };
}

// The query itself, and what would have been right.
function questionOf(root, data, query, steps) {
  const of = data.queries[query];
  const medium = of.medium === null || of.medium === undefined ? null : data.media[of.medium];
  const link = `#${encodeURI(root.dataset.name)}/q${encodeURIComponent(of.id)}`;
  const known = of.right.slice(0, 6);
  const more = of.right.length - known.length;
  return make(
    "div",
    { class: "question" },
    make("div", { class: "which" }, make("h3", {}, make("a", { href: link }, `Query ${of.id}`)), ...steps),
    typeof of.text === "string" ? captionOf(of.text, "asked") : null,
    medium ? make("div", { class: "asked-medium" }, mediumOf(medium, `query ${of.id}`)) : null,
    make("h4", {}, of.right.length > 1 ? `The ${of.right.length} right answers` : "The right answer"),
    make("ul", { class: "rights" }, ...known.map((id) => make("li", {}, ...candidateOf(data, id)))),
    more > 0 ? make("p", { class: "keys" }, `and ${more} more`) : null,
  );
}

// One retriever's ten answers, with a sentence above that says where the right one stands.
function columnOf(data, retriever, query, id) {
  const ids = retriever.ids[query];
  const place = ids ? ids.findIndex((each) => data.queries[query].right.includes(each)) : -1;
  const [sign, said] = !ids
    ? ["–", "wasn't asked this"]
    : place === 0
      ? ["✓", "right at once"]
      : ["✗", place > 0 ? `right one at rank ${place + 1}` : `right one not among ${ids.length}`];
  return make(
    "section",
    { class: `column ${colourOf(retriever)}`, "aria-labelledby": id },
    make("h4", { id }, make("bdi", {}, retriever.name)),
    make("p", { class: "kind" }, retriever.paradigm),
    make("p", { class: "said" }, make("b", { "aria-hidden": "true" }, sign), ` ${said}`),
    ids ? make("ol", {}, ...ids.map((_, rank) => answerOf(data, retriever, query, rank))) : null,
  );
}

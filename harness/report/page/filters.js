// What the list of queries can be narrowed to: words in it, and who of the retrievers shown is right.
"use strict";

// For each retriever and query: is the first answer right? null where it wasn't asked.
function judged(data) {
  const right = data.queries.map((query) => new Set(query.right));
  return data.retrievers.map((each) => each.ids.map((ids, query) => (ids ? right[query].has(ids[0]) : null)));
}

function firstTokenWrong(retriever, query) {
  const [path, right] = [retriever.paths?.[query]?.[0], retriever.right_tokens?.[query]];
  return Boolean(path && right) && path.tokens[0] !== right[0];
}

// What the list can be narrowed to: by the first answers of the retrievers that are shown.
function filtersOf(data, verdicts, shown) {
  const places = data.retrievers.map((_, place) => place).filter((place) => shown.has(place));
  const all = (query, wanted, but = null) => {
    const found = places.filter((place) => place !== but).map((place) => verdicts[place][query]);
    return found.some((each) => each !== null) && found.every((each) => each === null || each === wanted);
  };
  const others = (query, but) => places.length === 1 || all(query, false, but);
  const filters = [
    { key: "all", label: "all queries", keeps: () => true },
    { key: "none-right", label: "all wrong", keeps: (query) => all(query, false) },
    { key: "all-right", label: "all right", keeps: (query) => all(query, true) },
  ];
  for (const place of places) {
    const retriever = data.retrievers[place];
    const of = verdicts[place];
    const add = (key, label, keeps) => filters.push({ key: `${key}-${place}`, label, keeps, group: retriever.name });
    add("only", `only ${retriever.name} right`, (query) => of[query] === true && others(query, place));
    add("wrong", `${retriever.name} wrong`, (query) => of[query] === false);
    if (retriever.paths && retriever.right_tokens)
      add("token", `${retriever.name}: first token wrong`, (query) => firstTokenWrong(retriever, query));
  }
  return filters;
}

function showFilters(select, filters) {
  const wanted = filters.some((each) => each.key === select.value) ? select.value : "all";
  const option = (each) => make("option", { value: each.key }, each.label);
  const groups = new Map();
  for (const each of filters.filter((each) => each.group !== undefined))
    groups.set(each.key.split("-")[1], [...(groups.get(each.key.split("-")[1]) ?? []), each]);
  select.replaceChildren(
    ...filters.filter((each) => each.group === undefined).map(option),
    ...[...groups.values()].map((group) => make("optgroup", { label: group[0].group }, ...group.map(option))),
  );
  select.value = wanted;
}

function wordsOf(data, query) {
  const medium = query.medium === null || query.medium === undefined ? null : data.media[query.medium];
  return `#${query.id} ${query.text ?? ""} ${medium?.alt ?? ""}`.toLowerCase();
}

// Search in all pages, from disk: the index is a script beside this one, loaded when the field is first used.
"use strict";

{
  const root = new URL(".", document.currentScript.src).href;
  const field = document.querySelector("header .search input");
  const list = document.querySelector("header .search ol");
  const SHOWN = 12;
  let loading = false;

  const load = () => {
    if (loading) return;
    loading = true;
    const script = document.createElement("script");
    script.src = root + "search-index.js";
    script.onload = show;
    document.head.append(script);
  };

  const score = ([, title, head, text], words) => {
    let sum = 0;
    for (const word of words) {
      const found = 20 * head.toLowerCase().includes(word) + 5 * title.toLowerCase().includes(word)
        + Math.min(text.toLowerCase().split(word).length - 1, 9);
      if (found === 0) return 0;
      sum += found;
    }
    return sum;
  };

  const item = ([address, title, head, text], word) => {
    const link = document.createElement("a"), said = document.createElement("span");
    const at = Math.max(0, text.toLowerCase().indexOf(word) - 40);
    link.href = root + address;
    link.textContent = head === title ? title : `${title}: ${head}`;
    said.textContent = (at ? "…" : "") + text.slice(at, at + 120) + "…";
    const entry = document.createElement("li");
    entry.append(link, said);
    return entry;
  };

  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    if (!words.length || typeof SEARCH_INDEX === "undefined") return;
    const found = SEARCH_INDEX.map(row => [score(row, words), row]).filter(([points]) => points > 0);
    found.sort((a, b) => b[0] - a[0]);
    list.append(...found.slice(0, SHOWN).map(([, row]) => item(row, words[0])));
    if (!found.length) list.append(Object.assign(document.createElement("li"), { textContent: "Nothing found" }));
  };

  field.hidden = false;
  field.addEventListener("focus", load);
  field.addEventListener("input", () => { load(); show(); });
  field.addEventListener("keydown", event => {
    if (event.key === "Escape") { field.value = ""; show(); }
    if (event.key === "Enter") list.querySelector("a")?.click();
  });
  list.addEventListener("click", () => list.replaceChildren());
  document.addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      field.focus();
    }
  });
}

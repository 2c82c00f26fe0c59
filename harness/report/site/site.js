// The search of the index: it hides the rows of the tables that lack one of the words. Everything is there without it.
"use strict";
(() => {
  const box = document.getElementById("search"), said = document.getElementById("found");
  const rows = [...document.querySelectorAll("main tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  function search() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    for (const part of document.querySelectorAll("[data-part]")) {
      part.querySelector(".none").hidden = !!part.querySelector("tbody tr:not([hidden])");
    }
    said.textContent = words.length ? `${count} of ${rows.length} rows hold ${words.length > 1 ? "all these words" : "this word"}` : "";
  }
  box.addEventListener("input", search);
  document.querySelector(".search").hidden = false;
  search();
  document.documentElement.dataset.ready = "yes";
})();

"use strict";
// Comforts only: the page says everything without them.

// Tables: a button in each heading sorts by the cell's data-sort, or by its text. Unknown values always come last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortTable(table, headings, column));
  });
}

function sortTable(table, headings, column) {
  const heading = headings[column];
  const numeric = heading.classList.contains("number");
  const start = numeric ? "descending" : "ascending";
  const turned = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const order = heading.hasAttribute("aria-sort") ? turned : start;
  headings.forEach((one) => one.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y));
  });
  table.tBodies[0].append(...rows);
}

// Pictures: a link with data-show leaves only the pictures that have its key.
const figures = [...document.querySelectorAll(".pictures figure")];
const shownText = document.querySelector("#shown");
const showAll = document.querySelector("#show-all");

function showPictures(key, name) {
  const matching = figures.filter((figure) => key === null || figure.dataset.keys.split(" ").includes(key));
  figures.forEach((figure) => { figure.hidden = !matching.includes(figure); });
  showAll.hidden = key === null;
  shownText.textContent = key === null ? "" : `${matching.length} of ${figures.length} pictures: ${name}`;
}

if (figures.length) {
  for (const link of document.querySelectorAll("a[data-show]")) {
    link.addEventListener("click", () => showPictures(link.dataset.show, link.textContent.trim()));
  }
  showAll.addEventListener("click", () => showPictures(null, ""));
}

window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

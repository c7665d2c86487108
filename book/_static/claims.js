// Buttons that leave only the claims of one verdict on the page; without scripts all are there.
(() => {
  "use strict";
  const bar = document.querySelector(".gffn-filter");
  const buttons = [...bar.querySelectorAll("button")];
  const tables = [...document.querySelectorAll("#all-claims table")];
  const show = (verdict) => {
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.verdict === verdict);
    for (const table of tables) {
      const rows = [...table.tBodies[0].rows];
      for (const row of rows) row.hidden = verdict && row.cells[1].textContent.trim() !== verdict;
      table.hidden = rows.every((row) => row.hidden);
      table.closest("section").hidden = table.hidden;
    }
  };
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(button.dataset.verdict);
  });
  bar.hidden = false;
})();

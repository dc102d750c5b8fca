"use strict";
const tip = document.getElementById("tip");
function show(mark) {
  tip.textContent = mark.dataset.tip;
  const box = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const left = Math.min(innerWidth - own.width - 8, Math.max(8, box.left + box.width / 2 - own.width / 2));
  const above = box.top - own.height - 8;
  tip.style.left = left + "px";
  tip.style.top = (above > 8 ? above : box.bottom + 8) + "px";
  tip.classList.add("on");
}
function hide() { tip.classList.remove("on"); }
for (const mark of document.querySelectorAll("[data-tip]")) {
  mark.addEventListener("pointerenter", () => show(mark));
  mark.addEventListener("pointerleave", hide);
  mark.addEventListener("focus", () => show(mark));
  mark.addEventListener("blur", hide);
}
addEventListener("scroll", hide, { passive: true });
for (const head of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const column = [...head.parentElement.children].indexOf(head), body = head.closest("table").tBodies[0];
    const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}

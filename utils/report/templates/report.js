// The start of the page: its top and figures, and where keys go.
"use strict";

const KEYS = { g: "good", b: "bad", f: "correct" };
let tabbing = false; // whether the control that has the focus was reached by keys, and not by a pointer

function pressed(event) {
  const { target, key } = event, open = get("viewer").open;
  if (key === "Tab") tabbing = true;
  if (["TEXTAREA", "INPUT"].includes(target.tagName) && !["checkbox", "radio", "range"].includes(target.type)) {
    if (target.id !== "search" || !["ArrowDown", "Enter"].includes(key)) return;
    target.blur(); // from the search into the table
    event.preventDefault();
    return;
  }
  const own = target.type === "radio" || target.type === "range" ? ["ArrowUp", "ArrowDown"] : [];
  if (key === " " && open && get("stage").matches(":hover, :focus") && !(tabbing && target !== get("stage"))) {
    spaceDown = true; // dragging moves the image while it is held
    get("stage").classList.add("panning");
  } else if (open && editorKey(event)) { /* the editor took it */ }
  else if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === "SELECT" || own.includes(key)) return;
  else if (key === "ArrowDown") choose(chosen + 1);
  else if (key === "ArrowUp") choose(chosen - 1);
  else if (key === "Enter" && !["BUTTON", "SUMMARY", "A"].includes(target.tagName)) openViewer();
  else if (key in KEYS && shown.length && !event.repeat) {
    const scan = shown[chosen];
    setStatus(scan, { mark: statusOf(scan) === KEYS[key] ? "" : KEYS[key] });
  } else return; // Esc closes a dialog by itself
  event.preventDefault();
}

function released(event) {
  if (event.key !== " ") return;
  if (spaceDown) event.preventDefault(); // else it would press the button that has the focus
  spaceDown = false;
  get("stage").classList.remove("panning");
}

function fillTop() {
  for (const [label, value] of data.facts) {
    const pair = make("div");
    pair.append(make("dt", label), make("dd", value));
    get("facts").append(pair);
  }
  for (const [label, value] of data.headline) {
    const box = make("div", null, { class: "figure" });
    box.append(make("b", value), make("span", label));
    get("headline").append(box);
  }
  for (const part of document.querySelectorAll(".editable")) part.hidden = !editable;
  get("reviewer").value = recall(REVIEWER) || "";
}

function fillFigures() {
  get("figures").hidden = !data.figures.length;
  for (const figure of data.figures) {
    const box = make("figure", null, { class: figure.width > Math.max(1000, 1.6 * figure.height) ? "broad" : "" });
    const link = make("a", null, { href: figure.path });
    link.append(make("img", null, { src: figure.path, loading: "lazy", alt: figure.caption, class: figure.dark ? "" : "chart",
      width: figure.width, height: figure.height }));
    box.append(make("figcaption", figure.caption), link);
    get("gallery").append(box);
  }
}

const rows = new Map(data.scans.map((scan) => [scan, rowOf(scan)]));
fillTop();
fillFilter();
fillHead();
fillControls();
fillEditor();
fillFigures();
data.scans.forEach(showReview);
showCounts();
get("filter").addEventListener("change", () => showTable());
get("search").addEventListener("input", () => showTable());
get("reviewer").addEventListener("input", () => keep(REVIEWER, get("reviewer").value));
get("viewer").addEventListener("close", () => {
  showTable(chosen); // a review or an edit may have moved the scan out of the filter
  if (shown.length) rows.get(shown[chosen]).querySelector(".name").focus();
});
get("close").addEventListener("click", () => get("viewer").close());
get("previous").addEventListener("click", () => choose(chosen - 1));
get("next").addEventListener("click", () => choose(chosen + 1));
get("save-review").addEventListener("click", saveReview);
get("save-list").addEventListener("click", saveList);
get("save-corrections").addEventListener("click", saveCorrections);
document.addEventListener("keydown", pressed);
document.addEventListener("keyup", released);
document.addEventListener("pointerdown", () => (tabbing = false));
// Else the arrow keys, which step through slabs and scans, would change what was set by pointer.
for (const id of ["status", "controls"]) {
  get(id).addEventListener("pointerup", () => setTimeout(() => document.activeElement.blur()));
}
window.addEventListener("beforeunload", (event) => {
  if (!document.querySelector(".unstored").hidden) event.preventDefault();
});
window.addEventListener("resize", () => { if (get("viewer").open) showLabels(); });
showTable();

// The table of scans: sorting, filters, and which scan is chosen.
"use strict";

const hasTruth = data.scans.some((scan) => scan.truth !== null);
const editable = data.scans.some((scan) => scan.plane);
const COLUMNS = [
  { key: "image", label: "" },
  { key: "name", label: "Scan" },
  { key: "n_discs", label: "Discs found", number: true },
  ...(hasTruth ? [{ key: "mean_error", label: "Mean error, mm", number: true, digits: 1 }] : []),
  { key: "lowest_confidence", label: "Lowest confidence, %", number: true, scale: 100, digits: 0 },
  { key: "flags", label: "Flags" },
  { key: "review", label: "Review" },
  { key: "subject", label: "Subject" },
  { key: "contrast", label: "Contrast" },
  { key: "source", label: "Source" },
];
let sortKey = "name", sortDown = false, shown = [], chosen = 0;

// Return the review of a scan as [text, class]: what is stored beside its labels, what is marked here, unsaved edits.
function reviewOf(scan) {
  const parts = [];
  if (isEdited(scan)) parts.push(["edited", "edited"]);
  if (statusOf(scan)) parts.push([statusLabel(statusOf(scan)), statusOf(scan)]);
  if (scan.review && !(scan.review.status === statusOf(scan))) parts.push([scan.review.status, "stored"]);
  return parts;
}

function showReview(scan) {
  const tags = reviewOf(scan).map(([text, kind]) => make("span", text, { class: "status " + kind }));
  if (noteOf(scan)) for (const tag of tags) tag.title = noteOf(scan);
  rows.get(scan).querySelector(".cell-review").replaceChildren(...tags);
}

function showCounts() {
  for (const option of get("filter").options) {
    if (option.dataset.label) option.textContent = `${option.dataset.label} (${data.scans.filter(FILTERS[option.value]).length})`;
  }
}

const FILTERS = {
  "": () => true,
  "any flag": (scan) => scan.flags.length > 0,
  "not reviewed": (scan) => reviewOf(scan).length === 0,
  reviewed: (scan) => reviewOf(scan).length > 0,
  edited: isEdited,
  corrected: (scan) => scan.review?.status === "corrected",
  "one slab": (scan) => Boolean(scan.slabs) && scan.slabs.length === 1,
  ...Object.fromEntries(Object.keys(data.meanings).map((flag) => [flag, (scan) => scan.flags.includes(flag)])),
};

function flagsOf(scan) {
  return scan.flags.map((flag) => make("span", flag, { class: "flag", title: data.meanings[flag] || "" }));
}

function valueOf(scan, key) {
  if (key === "flags") return scan.flags.length;
  if (key === "review") return reviewOf(scan).map(([text]) => text).join(" ");
  return scan[key];
}

function compare(a, b) {
  const x = valueOf(a, sortKey), y = valueOf(b, sortKey);
  if (x === null || y === null) return (x === null) - (y === null); // what is not known comes last, either way
  const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
  return sortDown ? -order : order;
}

// Show the scans that fit filter and search. The chosen one stays that; where it is gone, the one at a place is chosen.
function showTable(place = 0) {
  const text = get("search").value.toLowerCase(), fits = FILTERS[get("filter").value];
  const kept = shown[chosen];
  shown = data.scans.filter((scan) => fits(scan)
    && [scan.name, scan.subject, scan.contrast, scan.source].join(" ").toLowerCase().includes(text)).sort(compare);
  get("count").textContent = `${shown.length} of ${data.scans.length}`;
  document.querySelector("#table tbody").replaceChildren(...shown.map((scan) => rows.get(scan)));
  for (const head of document.querySelectorAll("#table th")) {
    const sorted = head.dataset.key === sortKey;
    head.setAttribute("aria-sort", !sorted ? "none" : sortDown ? "descending" : "ascending");
  }
  choose(shown.includes(kept) ? shown.indexOf(kept) : place, false);
}

function rowOf(scan) {
  const row = make("tr");
  for (const column of COLUMNS) {
    const cell = make("td", null, { class: `cell-${column.key}${column.number ? " number" : ""}` });
    const value = column.key === "review" ? null : valueOf(scan, column.key);
    if (column.key === "image") {
      if (scan.image) cell.append(make("img", null, { src: scan.image, loading: "lazy", alt: "", width: 56, height: 56 }));
    } else if (column.key === "name") {
      const brief = make("span", null, { class: "narrow", "aria-hidden": "true" }); // the flags' column is off a telephone
      brief.append(...flagsOf(scan));
      const button = make("button", value, { type: "button", class: "name", tabindex: -1 });
      button.addEventListener("focus", () => choose(shown.indexOf(scan), false));
      cell.append(button, brief);
    } else if (column.key === "flags") {
      cell.append(...flagsOf(scan));
      if (scan.reason) cell.append(make("span", scan.reason));
    } else if (column.number) {
      cell.textContent = value === null ? "–" : (value * (column.scale || 1)).toFixed(column.digits || 0);
    } else cell.textContent = value;
    row.append(cell);
  }
  row.addEventListener("click", () => { choose(shown.indexOf(scan)); openViewer(); });
  return row;
}

function choose(index, scroll = true) {
  const before = document.querySelector("#table tr[aria-current]");
  before?.removeAttribute("aria-current");
  before?.querySelector(".name").setAttribute("tabindex", -1);
  if (!shown.length) return;
  chosen = Math.min(Math.max(index, 0), shown.length - 1);
  const row = rows.get(shown[chosen]), button = row.querySelector(".name");
  row.setAttribute("aria-current", "true");
  button.setAttribute("tabindex", 0); // Tab comes to the chosen scan alone, and the keys' choice and the focus are one
  if (document.activeElement.classList.contains("name")) button.focus({ preventScroll: true });
  if (scroll) row.scrollIntoView({ block: "nearest" });
  if (get("viewer").open) showScan();
}

function fillFilter() {
  const count = (flag) => data.scans.filter((scan) => scan.flags.includes(flag)).length;
  const flags = Object.keys(data.meanings).filter(count);
  const add = (value, label, counted) => {
    const option = make("option", label, { value });
    if (counted) option.dataset.label = label; // shown with how many there are, as that changes
    get("filter").append(option);
  };
  add("", "all scans");
  add("any flag", "any flag");
  for (const flag of flags) add(flag, flag, true);
  add("not reviewed", "not reviewed", true);
  add("reviewed", "reviewed", true);
  if (editable) add("edited", "edited, not applied", true);
  if (data.scans.some(FILTERS.corrected)) add("corrected", "corrected", true);
  if (data.scans.some(FILTERS["one slab"])) add("one slab", "one slab only", true);
  for (const flag of flags) get("meanings").append(make("dt", flag), make("dd", data.meanings[flag]));
  get("explained").hidden = !flags.length;
}

function fillHead() {
  for (const column of COLUMNS) {
    const head = make("th", null, { scope: "col", class: column.number ? "number" : "" });
    head.dataset.key = column.key;
    if (column.label) {
      const button = make("button", column.label, { type: "button" });
      button.addEventListener("click", () => {
        sortDown = sortKey === column.key && !sortDown;
        sortKey = column.key;
        showTable();
      });
      head.append(button);
    }
    document.querySelector("#table thead tr").append(head);
  }
}

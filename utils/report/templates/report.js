// The table of scans, the keys, and the marks that a reader sets. No libraries; scan.js draws the view of one scan.
// Every text is set as text, never as markup: names of files and people are not trusted.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const MARKS = [["", "none"], ["good", "good"], ["bad", "bad"], ["correct", "to correct"]];
const KEYS = { g: "good", b: "bad", f: "correct" };
const LAYERS = [["found", "discs found", true], ["truth", "true discs", true], ["names", "names", true],
  ["heat", "heatmaps", false], ["attention", "attention", false]];
const STORE = "disc-mark-"; // and a key for each scan as certain weights label it: pages that show it share its mark

const known = data.scans.some((scan) => scan.truth !== null);
const COLUMNS = [
  { key: "image", label: "" },
  { key: "name", label: "Scan" },
  { key: "n_discs", label: "Discs found", number: true },
  ...(known ? [{ key: "mean_error", label: "Mean error, mm", number: true, digits: 1 }] : []),
  { key: "lowest_confidence", label: "Lowest confidence, %", number: true, scale: 100, digits: 0 },
  { key: "flags", label: "Flags" },
  { key: "mark", label: "Mark" },
  { key: "subject", label: "Subject" },
  { key: "contrast", label: "Contrast" },
  { key: "source", label: "Source" },
];

const marks = {};
for (const { key } of data.scans) {
  try { marks[key] = JSON.parse(localStorage.getItem(STORE + key)) || {}; } catch { marks[key] = {}; } // without storage
}
let sortKey = "name", sortDown = false, shown = [], chosen = 0;
const layers = Object.fromEntries(LAYERS.map(([key, , on]) => [key, on]));

const markOf = (scan) => marks[scan.key].mark || "";
const noteOf = (scan) => marks[scan.key].note || "";
const markLabel = (mark) => MARKS.find(([key]) => key === mark)[1];

function setMark(scan, change) {
  Object.assign(marks[scan.key], change);
  try { localStorage.setItem(STORE + scan.key, JSON.stringify(marks[scan.key])); } catch { /* as above */ }
  showMark(scan);
}

function showMark(scan) {
  const tag = make("span", markOf(scan) ? markLabel(markOf(scan)) : "", { class: "mark " + markOf(scan) });
  if (noteOf(scan)) tag.title = noteOf(scan);
  rows.get(scan).querySelector(".cell-mark").replaceChildren(tag);
}

function flagsOf(scan) {
  return scan.flags.map((flag) => make("span", flag, { class: "flag", title: data.meanings[flag] || "" }));
}

function valueOf(scan, key) {
  if (key === "flags") return scan.flags.length;
  if (key === "mark") return markOf(scan);
  return scan[key];
}

function compare(a, b) {
  const x = valueOf(a, sortKey), y = valueOf(b, sortKey);
  if (x === null || y === null) return (x === null) - (y === null); // what is not known comes last, either way
  const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
  return sortDown ? -order : order;
}

function showTable() {
  const flag = get("filter").value, text = get("search").value.toLowerCase();
  const kept = shown[chosen];
  shown = data.scans.filter((scan) => {
    const fits = flag === "" || (flag === "any flag" ? scan.flags.length > 0
      : flag === "marked" ? markOf(scan) !== "" : scan.flags.includes(flag));
    return fits && [scan.name, scan.subject, scan.contrast, scan.source].join(" ").toLowerCase().includes(text);
  }).sort(compare);
  get("count").textContent = `${shown.length} of ${data.scans.length}`;
  document.querySelector("#table tbody").replaceChildren(...shown.map((scan) => rows.get(scan)));
  for (const head of document.querySelectorAll("#table th")) {
    const sorted = head.dataset.key === sortKey;
    head.setAttribute("aria-sort", !sorted ? "none" : sortDown ? "descending" : "ascending");
  }
  choose(Math.max(shown.indexOf(kept), 0), false);
}

function rowOf(scan) {
  const row = make("tr");
  for (const column of COLUMNS) {
    const cell = make("td", null, { class: `cell-${column.key}${column.number ? " number" : ""}` });
    const value = valueOf(scan, column.key);
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
    } else if (column.key !== "mark") cell.textContent = value;
    row.append(cell);
  }
  row.addEventListener("click", () => { choose(shown.indexOf(scan)); open(); });
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

function open() {
  if (!shown.length) return;
  if (!get("viewer").open) {
    document.activeElement.blur(); // on closing, the browser would go back to the scan that was opened first
    get("viewer").showModal();
  }
  showScan();
}

function showScan() {
  const scan = shown[chosen];
  get("viewer-title").textContent = scan.name;
  get("place").textContent = `${chosen + 1} of ${shown.length}`;
  get("summary").textContent = `${summary(scan)}. `;
  get("summary").append(...flagsOf(scan));
  get("origin").textContent = [scan.subject, scan.contrast, scan.source, scan.weights].filter(Boolean).join(", ");
  for (const [key] of LAYERS) {
    get("layer-" + key).disabled = (key === "truth" && !scan.truth) || (scan[key] === null) || !scan.image;
  }
  get("legend").hidden = !scan.truth;
  showMarkOf(scan);
  get("note").value = noteOf(scan);
  get("discs").replaceChildren(discTable(scan));
  fillStage(get("stage"), scan, layers);
}

function showMarkOf(scan) {
  for (const [key] of MARKS) get("mark-" + key).checked = markOf(scan) === key;
}

function save(name, text, type) {
  const link = make("a", null, { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  URL.revokeObjectURL(link.href);
}

const plain = (text) => String(text).replace(/[\t\r\n]+/g, " ");

function saveMarks() {
  const lines = data.scans.filter((scan) => markOf(scan) || noteOf(scan))
    .map((scan) => [scan.name, markLabel(markOf(scan)), noteOf(scan)].map(plain).join("\t"));
  save("marks.tsv", ["scan\tmark\tnote", ...lines].join("\n") + "\n", "text/tab-separated-values");
}

function saveList() {
  const again = data.scans.filter((scan) => ["bad", "correct"].includes(markOf(scan)));
  save("redo.txt", again.map((scan) => plain(scan.name) + "\n").join(""), "text/plain");
}

function pressed(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.id === "search" && ["ArrowDown", "Enter"].includes(key)) {
    target.blur(); // from the search into the table
  } else if (["TEXTAREA", "SELECT"].includes(target.tagName) || target.type === "search") return;
  else if (key === "ArrowDown") choose(chosen + 1);
  else if (key === "ArrowUp") choose(chosen - 1);
  else if (key === "Enter" && !["BUTTON", "SUMMARY", "A"].includes(target.tagName)) open();
  else if (key in KEYS && shown.length) {
    const scan = shown[chosen];
    setMark(scan, { mark: markOf(scan) === KEYS[key] ? "" : KEYS[key] });
    if (get("viewer").open) showMarkOf(scan);
  } else return; // Esc closes a dialog by itself
  event.preventDefault();
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
  const flags = Object.keys(data.meanings).filter((flag) => data.scans.some((scan) => scan.flags.includes(flag)));
  const count = (flag) => data.scans.filter((scan) => scan.flags.includes(flag)).length;
  for (const [value, label] of [["", "all scans"], ["any flag", "any flag"],
    ...flags.map((flag) => [flag, `${flag} (${count(flag)})`]), ["marked", "marked"]]) {
    get("filter").append(make("option", label, { value }));
  }
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

function fillControls() {
  for (const [key, label, on] of LAYERS) {
    const box = make("input", null, { type: "checkbox", id: "layer-" + key }), tag = make("label");
    box.checked = on;
    box.addEventListener("change", () => { layers[key] = box.checked; showScan(); });
    tag.append(box, " " + label);
    get("layers").append(tag);
  }
  for (const [key, label] of MARKS) {
    const box = make("input", null, { type: "radio", name: "mark", id: "mark-" + key }), tag = make("label");
    box.addEventListener("change", () => setMark(shown[chosen], { mark: key }));
    tag.append(box, " " + label);
    get("mark").append(tag);
  }
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
data.scans.forEach(showMark);
fillTop();
fillHead();
fillControls();
fillFigures();
get("filter").addEventListener("change", showTable);
get("search").addEventListener("input", showTable);
get("note").addEventListener("input", () => setMark(shown[chosen], { note: get("note").value }));
get("viewer").addEventListener("close", () => rows.get(shown[chosen]).querySelector(".name").focus());
get("close").addEventListener("click", () => get("viewer").close());
get("previous").addEventListener("click", () => choose(chosen - 1));
get("next").addEventListener("click", () => choose(chosen + 1));
get("save-marks").addEventListener("click", saveMarks);
get("save-list").addEventListener("click", saveList);
document.addEventListener("keydown", pressed);
window.addEventListener("resize", () => { if (get("viewer").open) fillStage(get("stage"), shown[chosen], layers); });
showTable();

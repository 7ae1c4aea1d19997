// The table of scans, the view of one scan, and the marks that a reader sets. No libraries.
// Every text is set as text, never as markup: names of files and people are not trusted.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const MARKS = [["", "none"], ["good", "good"], ["bad", "bad"], ["correct", "to correct"]];
const LAYERS = [["found", "discs found", true], ["truth", "true discs", true], ["names", "names", true],
  ["heat", "heatmaps", false], ["attention", "attention", false]];
const STORE = "disc-report-" + data.id;

const known = data.scans.some((scan) => scan.mean_error !== null);
const COLUMNS = [
  { key: "image", label: "" },
  { key: "name", label: "Scan" },
  { key: "person", label: "Person", wide: true },
  { key: "contrast", label: "Contrast", wide: true },
  { key: "source", label: "Source", wide: true },
  { key: "n_discs", label: "Discs", number: true },
  ...(known ? [{ key: "mean_error", label: "Error, mm", number: true, digits: 2 }] : []),
  { key: "lowest_confidence", label: "Lowest confidence, %", number: true, scale: 100, digits: 0 },
  { key: "flags", label: "Flags" },
  { key: "mark", label: "Mark" },
];

let marks = {};
try { marks = JSON.parse(localStorage.getItem(STORE)) || {}; } catch { /* a browser without storage keeps none */ }
let sortKey = "name", sortDown = false, shown = [], chosen = 0;
const layers = Object.fromEntries(LAYERS.map(([key, , on]) => [key, on]));

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const markOf = (scan) => (marks[scan.name] || {}).mark || "";
const markLabel = (mark) => MARKS.find(([key]) => key === mark)[1];

function setMark(scan, change) {
  marks[scan.name] = { mark: "", note: "", ...marks[scan.name], ...change };
  try { localStorage.setItem(STORE, JSON.stringify(marks)); } catch { /* as above */ }
  showTable();
}

function valueOf(scan, key) {
  if (key === "flags") return scan.flags.length;
  if (key === "mark") return markOf(scan);
  if (key === "image") return scan.name;
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
    return fits && (scan.name + " " + scan.person + " " + scan.source).toLowerCase().includes(text);
  }).sort(compare);
  chosen = Math.max(shown.indexOf(kept), 0);
  get("count").textContent = `${shown.length} of ${data.scans.length}`;
  const body = document.querySelector("#table tbody");
  body.replaceChildren(...shown.map(rowOf));
  for (const head of document.querySelectorAll("#table th")) {
    const sorted = head.dataset.key === sortKey;
    head.setAttribute("aria-sort", !sorted ? "none" : sortDown ? "descending" : "ascending");
  }
  choose(chosen, false);
}

function rowOf(scan, index) {
  const row = make("tr", null, { "aria-selected": "false" });
  for (const column of COLUMNS) {
    const cell = make("td", null, { class: (column.number ? "number " : "") + (column.wide ? "wide" : "") });
    const value = valueOf(scan, column.key);
    if (column.key === "image") {
      if (scan.image) cell.append(make("img", null, { src: scan.image, loading: "lazy", alt: "", width: 56, height: 56 }));
    } else if (column.key === "flags") {
      cell.append(...scan.flags.map((flag) => make("span", flag, { class: "flag" })));
      if (scan.reason) cell.append(make("span", scan.reason));
    } else if (column.key === "mark") {
      cell.append(make("span", value ? markLabel(value) : "", { class: "mark " + value }));
    } else if (column.number) {
      cell.textContent = value === null ? "–" : (value * (column.scale || 1)).toFixed(column.digits || 0);
    } else cell.textContent = value;
    row.append(cell);
  }
  row.addEventListener("click", () => { choose(index); open(); });
  return row;
}

function choose(index, scroll = true) {
  if (!shown.length) return;
  chosen = Math.min(Math.max(index, 0), shown.length - 1);
  const rows = document.querySelectorAll("#table tbody tr");
  rows.forEach((row, place) => row.setAttribute("aria-selected", String(place === chosen)));
  if (scroll) rows[chosen].scrollIntoView({ block: "nearest" });
  if (get("viewer").open) showScan();
}

function open() {
  if (!shown.length) return;
  if (!get("viewer").open) get("viewer").showModal();
  showScan();
}

function showScan() {
  const scan = shown[chosen];
  get("viewer-title").textContent = scan.name;
  const stage = get("stage");
  stage.replaceChildren();
  stage.style.aspectRatio = `${scan.width} / ${scan.height}`;
  stage.style.maxWidth = `calc(82vh * ${scan.width / scan.height})`;
  if (scan.image) {
    stage.append(make("img", null, { src: scan.image, alt: `sagittal slice of ${scan.name}` }));
    for (const layer of ["heat", "attention"]) {
      if (layers[layer] && scan[layer]) stage.append(make("img", null, { src: scan[layer], alt: layer, class: layer }));
    }
    stage.append(overlay(scan));
  }
  for (const [key] of LAYERS) {
    get("layer-" + key).disabled = (key === "truth" && !scan.truth) || (scan[key] === null);
  }
  for (const [key] of MARKS) get("mark-" + key).checked = markOf(scan) === key;
  get("note").value = (marks[scan.name] || {}).note || "";
  get("discs").replaceChildren(discTable(scan));
}

function overlay(scan) {
  const svg = draw("svg", { viewBox: `-0.5 -0.5 ${scan.width} ${scan.height}`, role: "img",
    "aria-label": `${scan.discs.length} discs drawn on the slice` });
  const scale = scan.height / 300; // marks keep their size on the screen, whatever the slice's
  if (layers.truth && scan.truth) {
    for (const disc of scan.truth) {
      const r = 4 * scale;
      svg.append(draw("path", { class: "truth", stroke: "#fff", "stroke-width": 1.1 * scale, fill: "none",
        d: `M${disc.col - r} ${disc.row}h${2 * r}M${disc.col} ${disc.row - r}v${2 * r}` }));
    }
  }
  if (layers.found) {
    for (const disc of scan.discs) {
      svg.append(draw("circle", { class: "found", cx: disc.col, cy: disc.row, r: 3 * scale, fill: "none",
        stroke: disc.colour, "stroke-width": 1.6 * scale }));
    }
  }
  if (layers.names) {
    const found = layers.found ? scan.discs : scan.truth || [];
    for (const disc of found) {
      const right = scan.width - disc.col > 0.3 * scan.width;
      const size = (found.length > 14 ? 6 : 8) * scale;
      let sure = disc.confidence === undefined ? "" : `  ${Math.round(100 * disc.confidence)} %`;
      // Where there is no room for both, the confidence stands in the table alone.
      if (right && disc.col + 12 * scale + 0.62 * size * (disc.name + sure).length > scan.width) sure = "";
      const label = draw("text", { x: disc.col + (right ? 12 : -12) * scale, y: disc.name_row + 2.5 * scale,
        fill: disc.colour, "text-anchor": right ? "start" : "end" }, disc.name + sure);
      label.style.fontSize = `${size}px`;
      label.style.strokeWidth = `${0.22 * size}px`;
      svg.append(label);
    }
  }
  const bottom = scan.height - 8 * scale, length = 50 / scan.spacing;
  if (length < 0.6 * scan.width) {
    svg.append(draw("path", { d: `M${8 * scale} ${bottom}h${length}`, stroke: "#e8e8e8", "stroke-width": 1.6 * scale }));
  }
  for (const [text, x, y, anchor] of [["50 mm", 8 * scale, bottom - 4 * scale, "start"],
    ["A", 5 * scale, scan.height / 2, "start"], ["P", scan.width - 5 * scale, scan.height / 2, "end"]]) {
    const label = draw("text", { x, y, fill: "#e8e8e8", "text-anchor": anchor }, text);
    label.style.fontSize = `${8 * scale}px`;
    svg.append(label);
  }
  return svg;
}

function discTable(scan) {
  if (scan.reason) return make("p", scan.reason);
  const table = make("table"), head = make("tr"), body = make("tbody");
  const errors = scan.truth !== null;
  for (const text of ["Disc", "Confidence", ...(errors ? ["Error, mm", ""] : [])]) head.append(make("th", text));
  for (const disc of scan.rows) {
    const row = make("tr"), name = make("td", disc.name);
    name.style.color = `var(--${disc.region})`;
    row.append(name, make("td", disc.confidence === null ? "–" : `${Math.round(100 * disc.confidence)} %`));
    if (errors) row.append(make("td", disc.error === null ? "–" : disc.error.toFixed(1)), make("td", disc.outcome));
    body.append(row);
  }
  const top = make("thead");
  top.append(head);
  table.append(top, body);
  return scan.rows.length ? table : make("p", "No disc was found.");
}

function save(name, text, type) {
  const link = make("a", null, { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  URL.revokeObjectURL(link.href);
}

const plain = (text) => String(text).replace(/[\t\r\n]+/g, " ");

function build() {
  for (const [label, value] of data.facts) get("facts").append(make("dt", label), make("dd", value));
  for (const [label, value] of data.headline) {
    const box = make("span", null, { class: "figure" });
    box.append(make("b", value), make("span", label));
    get("headline").append(box);
  }
  for (const column of COLUMNS) {
    const head = make("th", null, { scope: "col", class: (column.number ? "number " : "") + (column.wide ? "wide" : "") });
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
  const flags = [...new Set(data.scans.flatMap((scan) => scan.flags))].sort();
  for (const [value, label] of [["", "all scans"], ["any flag", "any flag"], ...flags.map((f) => [f, f]), ["marked", "marked"]]) {
    get("filter").append(make("option", label, { value }));
  }
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
  for (const [caption, path] of data.figures) {
    const figure = make("figure");
    figure.append(make("img", null, { src: path, loading: "lazy", alt: caption }), make("figcaption", caption));
    get("figures").append(figure);
  }
  get("filter").addEventListener("change", showTable);
  get("search").addEventListener("input", showTable);
  get("note").addEventListener("change", () => setMark(shown[chosen], { note: get("note").value }));
  get("close").addEventListener("click", () => get("viewer").close());
  get("previous").addEventListener("click", () => choose(chosen - 1));
  get("next").addEventListener("click", () => choose(chosen + 1));
  get("save-marks").addEventListener("click", () => {
    const lines = data.scans.filter((scan) => marks[scan.name] && (markOf(scan) || marks[scan.name].note))
      .map((scan) => [scan.name, markLabel(markOf(scan)), marks[scan.name].note || ""].map(plain).join("\t"));
    save("marks.tsv", ["scan\tmark\tnote", ...lines].join("\n") + "\n", "text/tab-separated-values");
  });
  get("save-list").addEventListener("click", () => {
    const again = data.scans.filter((scan) => ["bad", "correct"].includes(markOf(scan)));
    save("redo.txt", again.map((scan) => plain(scan.name) + "\n").join(""), "text/plain");
  });
  document.addEventListener("keydown", (event) => {
    if (["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName) && event.target.type !== "radio") return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" && event.target.tagName !== "BUTTON") open();
    else if (event.key === "f" && shown.length) {
      setMark(shown[chosen], { mark: markOf(shown[chosen]) === "correct" ? "" : "correct" });
      if (get("viewer").open) showScan();
    } else return; // Esc closes a dialog by itself
    event.preventDefault();
  });
  showTable();
}

build();

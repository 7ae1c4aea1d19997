// The dialog of one scan: layers, review status and note, slabs, zoom, window and level, and the table of its discs.
"use strict";

const LAYERS = [["found", "discs found", true], ["truth", "true discs", true], ["names", "names", true],
  ["heat", "heatmaps", false], ["attention", "attention", false]];
const layers = Object.fromEntries(LAYERS.map(([key, , on]) => [key, on]));
let current = null; // the scan shown

function openViewer() {
  if (!shown.length) return;
  if (!get("viewer").open) {
    document.activeElement.blur(); // on closing, the browser would go back to the scan that was opened first
    get("viewer").showModal(); // gives a button the focus, to which nobody came by Tab
    tabbing = false;
    current = null;
  }
  showScan();
}

function showScan() {
  const scan = shown[chosen];
  if (scan !== current) {
    current = scan;
    view.slab = scan.slabs ? scan.slabs.findIndex((slab) => slab.shown) : 0;
    showWhole();
    enterScan(scan);
  }
  get("viewer-title").textContent = scan.name;
  get("place").textContent = `${chosen + 1} of ${shown.length}`;
  const by = scan.review && [scan.review.status, scan.review.by && `by ${scan.review.by}`, (scan.review.time || "").slice(0, 10)];
  get("origin").textContent = [scan.subject, scan.contrast, scan.source, scan.weights, by && by.filter(Boolean).join(" ")]
    .filter(Boolean).join(", ");
  for (const [key] of LAYERS) {
    get("layer-" + key).disabled = (key === "truth" && !scan.truth) || (scan[key] === null) || !scan.image;
  }
  get("legend").hidden = !scan.truth;
  get("controls").hidden = !scan.image;
  showStatus(scan);
  get("note").value = noteOf(scan);
  showLabels();
}

// Show the slab and the labels of the current scan, edited or as they were predicted.
function showLabels() {
  const scan = current, discs = discsShown(scan);
  get("summary").textContent = `${summary(scan)}. `;
  get("summary").append(...flagsOf(scan));
  get("discs").replaceChildren(discTable(scan, discs));
  get("slab").textContent = slabText(scan);
  for (const [id, end] of [["slab-left", 0], ["slab-right", scan.slabs ? scan.slabs.length - 1 : 0]]) {
    get(id).disabled = !scan.slabs || view.slab === end;
  }
  fillStage(scan, discs, layers, editing);
}

// Return the discs to draw: the edited ones get name and colour of their level.
function discsShown(scan) {
  const discs = editing && scan === current ? dragged(editing) : discsOf(scan);
  return discs.map((disc) => (LEVELS.has(disc.level) ? { ...LEVELS.get(disc.level), ...disc } : disc));
}

function showStatus(scan) {
  for (const [key] of STATUS) get("status-" + key).checked = statusOf(scan) === key;
}

function setStatus(scan, change) {
  setReview(scan, change);
  showReview(scan);
  showCounts();
  if (get("viewer").open) showStatus(scan);
}

// One line on the whole scan, for whoever does not read the table.
function summary(scan) {
  if (scan.reason) return "could not be labelled";
  const parts = [isEdited(scan) ? `${discsOf(scan).length} discs, edited` : `${scan.n_discs} discs found`];
  if (scan.truth) {
    const right = scan.rows.filter((row) => row.outcome === "identified").length;
    parts.push(`${right} of ${scan.truth.length} true discs identified`);
  }
  if (scan.mean_error !== null) parts.push(`mean error ${scan.mean_error.toFixed(1)} mm`);
  if (scan.lowest_confidence !== null && !isEdited(scan)) parts.push(`lowest confidence ${percent(scan.lowest_confidence)}`);
  return parts.join(", ");
}

function discTable(scan, discs) {
  if (scan.reason) return make("p", scan.reason);
  const own = editing || isEdited(scan);
  if (!(own ? discs : scan.rows).length) return make("p", own ? "No disc." : "No disc was found.");
  const table = make("table", null, { "aria-label": "discs" }), head = make("tr"), body = make("tbody"), top = make("thead");
  const titles = ["Disc", "Confidence", ...(scan.truth ? ["Error, mm", "Outcome"] : [])];
  titles.forEach((text, place) => head.append(make("th", text, { scope: "col", class: place % 3 ? "number" : "" })));
  for (const disc of own ? discs : scan.rows) {
    const row = make("tr"), name = make("td");
    name.style.color = `var(--${disc.region})`;
    if (editing) name.append(discButton(disc));
    else name.textContent = disc.name;
    const confidence = disc.confidence === undefined ? "by hand" : disc.confidence === null ? "–" : percent(disc.confidence);
    row.append(name, make("td", confidence, { class: "number" }));
    if (scan.truth) {
      const fine = ["identified", "unknown"].includes(disc.outcome);
      row.append(make("td", disc.error === null ? "–" : disc.error.toFixed(1), { class: "number" }),
        make("td", disc.outcome, { class: fine ? "" : "wrong" }));
    }
    body.append(row);
  }
  top.append(head);
  table.append(top, body);
  return table;
}

function fillControls() {
  for (const [key, label, on] of LAYERS) {
    const box = make("input", null, { type: "checkbox", id: "layer-" + key }), tag = make("label");
    box.checked = on;
    box.addEventListener("change", () => { layers[key] = box.checked; showLabels(); });
    tag.append(box, " " + label);
    get("layers").append(tag);
  }
  for (const [key, label] of STATUS) {
    const box = make("input", null, { type: "radio", name: "status", id: "status-" + key }), tag = make("label");
    box.addEventListener("change", () => setStatus(current, { mark: key }));
    tag.append(box, " " + label);
    get("status").append(tag);
  }
  const act = (id, action) => get(id).addEventListener("click", () => { action(); showLabels(); });
  act("slab-left", () => stepSlab(current, -1));
  act("slab-right", () => stepSlab(current, 1));
  act("zoom-in", () => zoomBy(1.5));
  act("zoom-out", () => zoomBy(1 / 1.5));
  act("fit", () => showWhole());
  for (const id of ["window", "level"]) {
    get(id).addEventListener("input", () => { view[id] = Number(get(id).value); showWindow(); });
  }
  get("note").addEventListener("input", () => setStatus(current, { note: get("note").value }));
}

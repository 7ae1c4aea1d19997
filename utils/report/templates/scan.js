// The view of one scan: the slice, what lies over it, and the table of its discs. Drawn in pixels of the screen, so
// that letters are as large on a telephone as on a monitor. Names stand in a margin behind the back: no letter covers
// anatomy.
"use strict";

const INK = "#e8e8e8", WRONG = "#ff6b60";

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

const percent = (share) => `${Math.round(100 * share)} %`;

// Move names apart: the nearest places, ascending like the input, at least `gap` from each other and between two ends.
// Isotonic regression (pool adjacent violators) of the places less the room that they need.
function spread(places, gap, low, high) {
  const blocks = [];
  places.forEach((place, index) => {
    blocks.push([place - gap * index, 1]);
    while (blocks.length > 1 && blocks.at(-2)[0] > blocks.at(-1)[0]) {
      const [[above, n], [below, m]] = blocks.splice(-2);
      blocks.push([(above * n + below * m) / (n + m), n + m]);
    }
  });
  return blocks.flatMap(([place, count]) => Array(count).fill(place)).map((place, index) =>
    Math.min(Math.max(place, low) + gap * index, high - gap * (places.length - 1 - index)));
}

// Fill the stage with a scan as large as fits; `layers` tells what is on.
function fillStage(stage, scan, layers) {
  stage.replaceChildren();
  stage.hidden = !scan.image;
  if (!scan.image) return;
  const narrow = window.innerWidth <= 700;
  const letters = narrow ? 10 : 12, margin = 9.6 * letters;
  const room = [stage.parentElement.clientWidth - margin, window.innerHeight * (narrow ? 0.62 : 0.8)];
  let zoom = Math.max(Math.min(room[0] / scan.width, room[1] / scan.height), 0.1);
  // Names of discs that were not found stand in front of the spine; a narrow slice needs room beside it for them.
  const lost = (scan.truth || []).filter((disc) => disc.wrong).map((disc) => disc.col * zoom);
  const before = Math.max(0, 5.5 * letters + 14 - Math.min(...lost));
  zoom = Math.max(Math.min((room[0] - before) / scan.width, zoom), 0.1);
  const size = [zoom * scan.width, zoom * scan.height];
  stage.style.width = `${before + size[0] + margin}px`;
  stage.style.height = `${size[1]}px`;
  const slice = make("div", null, { class: "slice" });
  slice.style.left = `${before}px`;
  slice.style.width = `${size[0]}px`;
  slice.style.height = `${size[1]}px`;
  stage.append(slice);
  lay(slice, scan.image, "", `sagittal slice of ${scan.name}`, size);
  for (const [layer, told] of [["heat", "heatmaps"], ["attention", "attention"]]) {
    // A map's cell is 4 pixels wide, and the last one may reach beyond the slice.
    const whole = [scan.width, scan.height].map((side) => 4 * Math.ceil(side / 4) * zoom);
    if (layers[layer] && scan[layer]) lay(slice, scan[layer], layer, told, whole);
  }
  stage.append(overlay(scan, layers, zoom, size, before, margin, letters));
}

function lay(slice, path, kind, told, [width, height]) {
  const image = make("img", null, { src: path, alt: told, class: kind });
  image.style.width = `${width}px`;
  image.style.height = `${height}px`;
  slice.append(image);
}

function overlay(scan, layers, zoom, [width, height], before, margin, largest) {
  const svg = draw("svg", { viewBox: `${-before} 0 ${before + width + margin} ${height}`, role: "img",
    "aria-label": `${scan.discs.length} discs drawn on the slice` });
  const at = (pixel) => (pixel + 0.5) * zoom;
  const truth = layers.truth && scan.truth ? scan.truth : [];
  const found = layers.found ? scan.discs : [];
  const named = layers.found ? scan.discs : truth;
  const gap = Math.min(1.2 * largest, 0.9 * height / Math.max(named.length, 1));
  const nameRows = spread(named.map((disc) => at(disc.row)), gap, gap / 2, height - gap / 2);
  const letters = Math.max(Math.min(largest, 0.95 * gap), 6);
  const write = (text, x, y, attributes) => {
    const label = draw("text", { x, y: y + 0.36 * letters, fill: INK, ...attributes }, text);
    label.style.fontSize = `${letters}px`;
    svg.append(label);
    return label;
  };
  if (layers.names) {
    for (const [index, disc] of named.entries()) {
      const y = nameRows[index], ink = layers.found ? disc.colour : INK;
      svg.append(draw("path", { class: "leader", stroke: ink, d: `M${at(disc.col)} ${at(disc.row)}L${width + 4} ${y}` }));
      const label = write(disc.name, width + 7, y, { fill: ink, class: "name" });
      if (disc.confidence !== undefined) {
        label.append(draw("tspan", { fill: INK, class: "sure" }, `  ${percent(disc.confidence)}`));
      }
      if (disc.wrong) label.append(draw("tspan", { fill: WRONG, class: "wrong" }, " ✕"));
    }
  }
  for (const disc of truth) {
    svg.append(draw("path", { class: "truth", d: `M${at(disc.col) - 7} ${at(disc.row)}h14M${at(disc.col)} ${at(disc.row) - 7}v14` }));
    // A chain one level off looks right until the true names stand beside it.
    if (layers.names && layers.found && disc.wrong) {
      write(disc.name, at(disc.col) - 12, at(disc.row), { "text-anchor": "end", class: "lost" });
    }
  }
  for (const disc of found) {
    svg.append(draw("circle", { class: "found", cx: at(disc.col), cy: at(disc.row), r: 5, stroke: disc.colour }));
  }
  const bar = [50, 20, 10].find((length) => length / scan.spacing < 0.6 * scan.width) || 10;
  svg.append(draw("path", { class: "bar-mm", d: `M10 ${height - 12}h${bar / scan.spacing * zoom}` }));
  write(`${bar} mm`, 10, height - 24, { class: "edge" });
  write("A", 8, height / 2, { class: "edge" });
  write("P", width - 8, height / 2, { "text-anchor": "end", class: "edge" });
  return svg;
}

// One line on the whole scan, for whoever does not read the table.
function summary(scan) {
  if (scan.reason) return "could not be labelled";
  const parts = [`${scan.n_discs} discs found`];
  if (scan.truth) {
    const right = scan.rows.filter((row) => row.outcome === "identified").length;
    parts.push(`${right} of ${scan.truth.length} true discs identified`);
  }
  if (scan.mean_error !== null) parts.push(`mean error ${scan.mean_error.toFixed(1)} mm`);
  if (scan.lowest_confidence !== null) parts.push(`lowest confidence ${percent(scan.lowest_confidence)}`);
  return parts.join(", ");
}

function discTable(scan) {
  if (scan.reason) return make("p", scan.reason);
  if (!scan.rows.length) return make("p", "No disc was found.");
  const table = make("table"), head = make("tr"), body = make("tbody"), top = make("thead");
  const titles = ["Disc", "Confidence", ...(scan.truth ? ["Error, mm", "Outcome"] : [])];
  titles.forEach((text, place) => head.append(make("th", text, { scope: "col", class: place % 3 ? "number" : "" })));
  for (const disc of scan.rows) {
    const row = make("tr"), name = make("td", disc.name);
    name.style.color = `var(--${disc.region})`;
    row.append(name, make("td", disc.confidence === null ? "–" : percent(disc.confidence), { class: "number" }));
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

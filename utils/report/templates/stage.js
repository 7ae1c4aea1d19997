// The picture of one scan: the slab, what lies over it, zoom, pan, window and level. Drawn in pixels of the screen, so
// that letters are as large on a telephone as on a monitor. Names stand in a margin on the posterior side: no letter
// covers anatomy.
"use strict";

const INK = "#e8e8e8", WRONG = "#ff6b60", MOST_ZOOM = 8;
const view = {}; // of the scan shown: zoom, left and top (of the slab in its frame, in pixels), slab, window, level
let frame = null; // its layout: scale (pixels of the screen per pixel of the slab, zoomed), before, width, height

function showWhole() {
  Object.assign(view, { zoom: 1, left: 0, top: 0, window: 1, level: 0.5 });
  showWindow();
}

// Show a scan with its discs as large as fits; `editing` is the state of the editor, or null.
function fillStage(scan, discs, layers, editing) {
  const stage = get("stage");
  stage.hidden = !scan.image;
  if (!scan.image) return;
  const narrow = window.innerWidth <= 700;
  const letters = narrow ? 10 : 12, margin = 9.6 * letters;
  const room = [stage.parentElement.clientWidth - margin, window.innerHeight * (narrow ? 0.55 : 0.72)];
  let scale = Math.max(Math.min(room[0] / scan.width, room[1] / scan.height), 0.1);
  // Labels of discs that were not found stand in front of the spine; a narrow slice needs room beside it for them.
  const lost = (scan.truth || []).filter((disc) => disc.wrong).map((disc) => disc.col * scale);
  const before = Math.max(0, 5.5 * letters + 14 - Math.min(...lost));
  scale = Math.max(Math.min((room[0] - before) / scan.width, scale), 0.1);
  const [width, height] = [scale * scan.width, scale * scan.height];
  stage.classList.toggle("zoomed", view.zoom > 1);
  view.left = Math.min(Math.max(view.left, width * (1 - view.zoom)), 0);
  view.top = Math.min(Math.max(view.top, height * (1 - view.zoom)), 0);
  frame = { scale: scale * view.zoom, before, width, height, margin, letters };
  Object.assign(stage.style, { width: `${before + width + margin}px`, height: `${height}px` });
  let slice = stage.querySelector(".slice");
  if (!slice) stage.append(slice = make("div", null, { class: "slice" }));
  Object.assign(slice.style, { left: `${before}px`, width: `${width}px`, height: `${height}px` });
  const size = [scan.width, scan.height];
  lay(slice, "grey", scan.slabs ? scan.slabs[view.slab].image : scan.image, `sagittal slice of ${scan.name}`, size);
  // A map's cell is 4 pixels wide, and the last one may reach beyond the slice.
  const whole = size.map((side) => 4 * Math.ceil(side / 4));
  lay(slice, "heat", layers.heat ? scan.heat : null, "heatmaps", whole);
  lay(slice, "attention", layers.attention ? scan.attention : null, "attention", whole);
  stage.querySelector("svg")?.remove();
  stage.append(overlay(scan, discs, layers, editing));
}

function lay(slice, kind, path, label, size) {
  let image = slice.querySelector("." + kind);
  if (!path) return image?.remove();
  if (!image) slice.append(image = make("img", null, { class: kind, draggable: "false" }));
  if (image.getAttribute("src") !== path) image.setAttribute("src", path);
  image.alt = label;
  Object.assign(image.style, { left: `${view.left}px`, top: `${view.top}px`,
    width: `${size[0] * frame.scale}px`, height: `${size[1] * frame.scale}px` });
}

// Return where a point of the slab lies on the stage, and back: a pixel's centre is at its integer index.
const toStage = ({ row, col }) => ({ x: (col + 0.5) * frame.scale + view.left, y: (row + 0.5) * frame.scale + view.top });
function toSlab(event) {
  const box = get("stage").getBoundingClientRect();
  const [x, y] = [event.clientX - box.left - frame.before, event.clientY - box.top];
  return { x, y, col: (x - view.left) / frame.scale - 0.5, row: (y - view.top) / frame.scale - 0.5,
    inside: x >= 0 && y >= 0 && x < frame.width && y < frame.height };
}

// Zoom by a factor; the point (x, y) of the frame stays where it is.
function zoomBy(factor, x = frame.width / 2, y = frame.height / 2) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MOST_ZOOM), by = zoom / view.zoom;
  Object.assign(view, { zoom, left: x - (x - view.left) * by, top: y - (y - view.top) * by });
}

// Step through the slabs; those on either side are loaded beforehand.
function stepSlab(scan, by) {
  if (!scan.slabs) return;
  view.slab = Math.min(Math.max(view.slab + by, 0), scan.slabs.length - 1);
  for (const near of [view.slab - 1, view.slab + 1]) if (scan.slabs[near]) new Image().src = scan.slabs[near].image;
}

const slabOf = (scan, disc) => scan.slabs.reduce((best, slab, index) =>
  Math.abs(slab.offset - disc.across) < Math.abs(scan.slabs[best].offset - disc.across) ? index : best, 0);

function slabText(scan) {
  if (!scan.slabs) return "One slab is stored.";
  if (scan.slabs.length === 1) return "This scan has one slab only.";
  const { offset, shown } = scan.slabs[view.slab];
  const side = Math.abs(offset) < 0.5 ? "in the middle" : `${Math.abs(offset).toFixed(0)} mm to the ${offset > 0 ? "right" : "left"}`;
  return `Slab ${view.slab + 1} of ${scan.slabs.length}, ${side}${shown ? " (chosen by the network)" : ""}`;
}

// Window and level as on a workstation: grey values from level - window / 2 to level + window / 2 fill the screen.
function showWindow() {
  for (const part of get("grey-values").children[0].children) {
    part.setAttribute("slope", 1 / view.window);
    part.setAttribute("intercept", 0.5 - view.level / view.window);
  }
  get("stage").classList.toggle("windowed", view.window !== 1 || view.level !== 0.5);
  get("window").value = view.window;
  get("level").value = view.level;
}

function overlay(scan, discs, layers, editing) {
  const { before, width, height, margin, letters: largest } = frame;
  const svg = draw("svg", { viewBox: `${-before} 0 ${before + width + margin} ${height}`, role: "img",
    "aria-label": `${discs.length} discs drawn on the slice` });
  const seen = (disc) => { const { x, y } = toStage(disc); return x >= -2 && y >= -2 && x <= width + 2 && y <= height + 2; };
  const truth = layers.truth && scan.truth ? scan.truth.filter(seen) : [];
  const found = layers.found || editing ? discs.filter(seen) : [];
  const named = layers.found || editing ? found : truth;
  const gap = Math.min(1.2 * largest, 0.9 * height / Math.max(named.length, 1));
  const places = spread(named.map((disc) => toStage(disc).y), gap, gap / 2, height - gap / 2);
  const letters = Math.max(Math.min(largest, 0.95 * gap), 6);
  const write = (text, x, y, attributes) => {
    const label = draw("text", { x, y: y + 0.36 * letters, fill: INK, ...attributes }, text);
    label.style.fontSize = `${letters}px`;
    svg.append(label);
    return label;
  };
  if (layers.names) {
    for (const [index, disc] of named.entries()) {
      const { x, y } = toStage(disc), ink = found.length ? disc.colour : INK;
      svg.append(draw("path", { class: "leader", stroke: ink, d: `M${x} ${y}L${width + 4} ${places[index]}` }));
      const label = write(disc.name, width + 7, places[index], { fill: ink, class: "name" });
      if (disc.confidence !== undefined) label.append(draw("tspan", { fill: INK, class: "confidence" }, `  ${percent(disc.confidence)}`));
      if (disc.wrong) label.append(draw("tspan", { fill: WRONG, class: "wrong" }, " ✕"));
    }
  }
  for (const disc of truth) {
    const { x, y } = toStage(disc);
    svg.append(draw("path", { class: "truth", d: `M${x - 7} ${y}h14M${x} ${y - 7}v14` }));
    // A chain that is shifted by one level appears right until the true names stand beside it.
    if (layers.names && layers.found && disc.wrong) write(disc.name, x - 12, y, { "text-anchor": "end", class: "lost" });
  }
  for (const disc of found) {
    const { x, y } = toStage(disc), away = editing && scan.slabs && slabOf(scan, disc) !== view.slab;
    const chosen = editing && disc.level === editing.selected;
    if (chosen) svg.append(draw("circle", { class: "halo", cx: x, cy: y, r: 9 }));
    svg.append(draw("circle", { class: `found${away ? " away" : ""}`, cx: x, cy: y, r: 5, stroke: disc.colour }));
    if (editing) svg.append(draw("circle", { class: "centre", cx: x, cy: y, r: 1, fill: disc.colour }));
  }
  const bar = [50, 20, 10].find((length) => length / scan.spacing * view.zoom < 0.6 * scan.width) || 10;
  svg.append(draw("path", { class: "bar-mm", d: `M10 ${height - 12}h${bar / scan.spacing * frame.scale}` }));
  write(`${bar} mm`, 10, height - 24, { class: "edge" });
  write("A", 8, height / 2, { class: "edge" });
  write("P", width - 8, height / 2, { "text-anchor": "end", class: "edge" });
  return svg;
}

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

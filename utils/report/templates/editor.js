// The editor in the view of one scan: buttons, keys and pointer, over the states of editing.js.
"use strict";

const STEP = 0.25, LARGE_STEP = 2; // pixels that an arrow key moves a disc
const REACH = 12; // pixels of the screen about a disc that take hold of it
const HINT = "Drag a disc to move it, click on the image to add one.";
let editMode = false, editing = null, drag = null, grip = null, spaceDown = false;
const states = new Map(); // scan -> state, with what can be undone

const predictedDiscs = (scan) =>
  scan.discs.map(({ level, row, col, across, confidence }) => ({ level, row, col, across, confidence }));

function stateOf(scan) {
  if (!states.has(scan)) {
    const base = predictedDiscs(scan);
    const state = startEditing(base);
    states.set(scan, isEdited(scan) ? { ...state, discs: edits.get(scan).discs, past: [base] } : state);
  }
  return states.get(scan);
}

function enterScan(scan) {
  [drag, grip] = [null, null];
  editing = editMode && scan.plane ? stateOf(scan) : null;
  if (editing) editing = { ...editing, selected: null, message: "" };
  showTools();
}

function setEditMode(on) {
  editMode = on && Boolean(current.plane);
  enterScan(current);
  showLabels();
}

function apply(next) {
  editing = next;
  states.set(current, next);
  setEdit(current, next.discs);
  showReview(current);
  showCounts();
  showTools();
  showLabels();
}

function showTools() {
  const button = get("edit");
  button.hidden = !editable;
  button.disabled = !current.plane;
  button.title = current.plane || current.reason ? "" : "An earlier version wrote this scan: label it again to edit it";
  button.setAttribute("aria-pressed", String(Boolean(editing)));
  get("tools").hidden = !editing;
  get("edit-message").hidden = !editing;
  get("stage").classList.toggle("editing", Boolean(editing));
  if (!editing) return;
  const none = editing.selected === null;
  get("edit-message").textContent = editing.message || HINT;
  for (const id of ["level-of", "scope", "delete"]) get(id).disabled = none;
  get("level-of").value = none ? "" : editing.selected;
  get("undo").disabled = !editing.past.length;
  get("redo").disabled = !editing.future.length;
  get("discard").disabled = !isEdited(current);
}

const offsetShown = () => current.slabs[view.slab].offset;

// Return a place on the slab shown, or elsewhere across it, kept on the image, to a thousandth of a pixel.
function placeOf(row, col, across = offsetShown()) {
  const fit = (value, size) => Math.round(1000 * Math.min(Math.max(value, 0), size - 1)) / 1000;
  return { row: fit(row, current.height), col: fit(col, current.width), across };
}

const dragged = (state) => state.discs.map((disc) => (drag && disc.level === drag.level ? { ...disc, ...drag } : disc));

function selectDisc(level) {
  apply(select(editing, level));
  if (level === null) return;
  view.slab = slabOf(current, discOf(editing, level)); // where the disc lies
  showLabels();
}

function selectNext(by) {
  const at = editing.discs.findIndex((disc) => disc.level === editing.selected), count = editing.discs.length;
  if (count) selectDisc(editing.discs[at < 0 ? (by > 0 ? 0 : count - 1) : (at + by + count) % count].level);
}

function nudge(rows, cols) {
  const disc = discOf(editing, editing.selected);
  apply(moveDisc(editing, disc.level, placeOf(disc.row + rows, disc.col + cols, disc.across), `nudge ${disc.level}`));
}

// Add a disc without a pointer: below the selected one, or the lowest, half way to the next or where it would lie.
function addByKey() {
  const discs = editing.discs, at = discs.findIndex((disc) => disc.level === editing.selected);
  const above = discs[at < 0 ? discs.length - 1 : at], below = above && discs[discs.indexOf(above) + 1];
  if (!above) return apply(addDisc(editing, placeOf(current.height / 2, current.width / 2), current.spacing));
  if (below) return apply(addDisc(editing, placeOf((above.row + below.row) / 2, (above.col + below.col) / 2), current.spacing));
  const gap = (LEVELS.get(above.level).gap || 30) / current.spacing;
  apply(addDisc(editing, placeOf(above.row + gap, above.col), current.spacing));
}

const discard = () => apply(changed(editing, predictedDiscs(current), null));

// Return whether the editor took a key.
function editorKey(event) {
  const { key, target } = event, control = event.ctrlKey || event.metaKey;
  if (control && editing && ["z", "Z", "y"].includes(key)) {
    apply(event.shiftKey || key === "y" ? redo(editing) : undo(editing));
    return true;
  }
  if (control || event.altKey || (target.tagName === "SELECT" && key !== "Escape")) return false; // letters choose a level
  if (key === "e" && current.plane) {
    setEditMode(!editing);
    return true;
  }
  if ([",", "."].includes(key)) { // slabs, whether a disc is selected or not
    stepSlab(current, key === "," ? -1 : 1);
    showLabels();
    return true;
  }
  const chosenDisc = editing && editing.selected !== null, pointed = target.type === "range" || target.type === "radio";
  const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (key in arrows && !pointed) {
    if (chosenDisc) nudge(...arrows[key].map((by) => by * (event.shiftKey ? LARGE_STEP : STEP)));
    else if (arrows[key][1]) {
      stepSlab(current, arrows[key][1]);
      showLabels();
    } else return false;
    return true;
  }
  if (!editing) return false;
  if (key === "+" || key === "=") apply(shiftAll(editing, 1));
  else if (key === "-") apply(shiftAll(editing, -1));
  else if (["Delete", "Backspace"].includes(key) && chosenDisc) apply(removeDisc(editing, editing.selected));
  else if (key === "Escape") {
    if (chosenDisc) selectDisc(null);
    else setEditMode(false);
  } else if (key === "a") addByKey();
  else if (key === "n") selectNext(1);
  else if (key === "p") selectNext(-1);
  else return false;
  return true;
}

function discButton(disc) {
  const chosenDisc = disc.level === editing.selected;
  const button = make("button", disc.name, { type: "button", class: "disc", "aria-pressed": String(chosenDisc) });
  button.addEventListener("click", () => {
    selectDisc(chosenDisc ? null : disc.level);
    [...get("discs").querySelectorAll("button")].find((other) => other.textContent === disc.name)?.focus();
  });
  return button;
}

function hold(event) {
  if (event.button === 2 || !event.isPrimary || !current?.image) return; // a second finger holds nothing
  const at = toSlab(event), away = (disc) => Math.hypot(toStage(disc).x - at.x, toStage(disc).y - at.y);
  const pan = spaceDown || event.button === 1 || !editing;
  const nearest = pan ? null : [...editing.discs].sort((a, b) => away(a) - away(b))[0];
  const disc = nearest && away(nearest) <= REACH ? nearest : null;
  grip = { disc, pan, from: at, left: view.left, top: view.top, moved: false, far: event.pointerType === "touch" ? 8 : 3 };
  get("stage").setPointerCapture(event.pointerId);
  get("stage").focus({ preventScroll: true });
  event.preventDefault();
}

function pull(event) {
  if (!grip || !event.isPrimary) return;
  const at = toSlab(event), [right, down] = [at.x - grip.from.x, at.y - grip.from.y];
  grip.moved ||= Math.hypot(right, down) > grip.far;
  if (!grip.moved) return;
  if (grip.disc) {
    const { level, row, col, across } = grip.disc, here = slabOf(current, grip.disc) === view.slab;
    drag = { level, ...placeOf(row + down / frame.scale, col + right / frame.scale, here ? across : offsetShown()) };
  } else Object.assign(view, { left: grip.left + right, top: grip.top + down });
  fillStage(current, discsShown(current), layers, editing);
}

function release(event) {
  if (!grip || !event.isPrimary) return;
  const { disc, pan, moved, from } = grip, place = drag;
  [grip, drag] = [null, null];
  if (event.type === "pointercancel" || pan) return showLabels();
  if (disc && moved) apply(moveDisc(select(editing, disc.level), disc.level, { row: place.row, col: place.col, across: place.across }));
  else if (disc) apply(select(editing, disc.level));
  else if (!moved && from.inside) apply(addDisc(editing, placeOf(from.row, from.col), current.spacing));
}

function fillEditor() {
  get("level-of").append(make("option", "none selected", { value: "", disabled: "" }));
  for (const { level, name } of data.levels) get("level-of").append(make("option", name, { value: level }));
  const act = (id, action) => get(id).addEventListener("click", action);
  act("edit", () => setEditMode(!editing));
  act("shift-up", () => apply(shiftAll(editing, -1)));
  act("shift-down", () => apply(shiftAll(editing, 1)));
  act("add", addByKey);
  act("delete", () => apply(removeDisc(editing, editing.selected)));
  act("undo", () => apply(undo(editing)));
  act("redo", () => apply(redo(editing)));
  act("discard", discard);
  get("level-of").addEventListener("change", () =>
    apply(relabel(editing, editing.selected, Number(get("level-of").value), get("scope").value)));
  const stage = get("stage");
  stage.addEventListener("pointerdown", hold);
  stage.addEventListener("pointermove", pull);
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("wheel", (event) => {
    if (!current?.image || (view.zoom === 1 && event.deltaY > 0)) return;
    const { x, y } = toSlab(event);
    zoomBy(Math.exp(-event.deltaY / 400), x, y);
    fillStage(current, discsShown(current), layers, editing);
    event.preventDefault();
  }, { passive: false });
}

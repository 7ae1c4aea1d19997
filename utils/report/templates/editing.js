// Editing the labels of one scan, as pure functions over a state: {discs, selected, past, future, message, step}.
// Discs are {level, row, col, across} from top to bottom: row and column in pixels of the slice, across in mm from its
// plane. The selected disc is known by its level. A change that would be impossible leaves the discs as they are, and
// the message says why.
"use strict";

const LEVELS = new Map(data.levels.map((level) => [level.level, level]));
const [FIRST, LAST] = [data.levels[0].level, data.levels.at(-1).level];
const nameOf = (level) => LEVELS.get(level).name;

function startEditing(discs) {
  return { discs, selected: null, past: [], future: [], message: "", step: "" };
}

const discOf = (state, level) => state.discs.find((disc) => disc.level === level);
const select = (state, level) => ({ ...state, selected: level, message: "", step: "" });

function sameDiscs(some, others) {
  const parts = ["level", "row", "col", "across"];
  return some.length === others.length && some.every((disc, i) => parts.every((part) => disc[part] === others[i][part]));
}

// Return why discs from top to bottom are impossible, in a sentence; nothing where they are not.
function problemOf(discs) {
  for (let i = 1; i < discs.length; i++) {
    const [above, below] = [discs[i - 1].level, discs[i].level];
    if (above === below) return `${nameOf(below)} would be there twice: delete one of the two, or change its level.`;
    if (discs[i - 1].row === discs[i].row) return `${nameOf(above)} and ${nameOf(below)} would lie at one height: place them apart.`;
    if (above > below) return `${nameOf(above)} would lie above ${nameOf(below)}: levels are in order from top to bottom.`;
  }
  return "";
}

// Return the state with other discs; changes with the same step, such as moves by arrow keys, are undone as one.
function changed(state, discs, selected, { message = "", step = "" } = {}) {
  const ordered = [...discs].sort((a, b) => a.row - b.row);
  const problem = problemOf(ordered);
  if (problem && !problemOf(state.discs)) return { ...state, message: problem };
  if (sameDiscs(ordered, state.discs)) return { ...state, selected };
  const past = step && step === state.step ? state.past : [...state.past, state.discs];
  return { discs: ordered, selected, past, future: [], message, step };
}

function moveDisc(state, level, place, step = "") {
  const moved = state.discs.map((disc) => (disc.level === level ? { level, ...place } : disc));
  return changed(state, moved, level, { step });
}

function removeDisc(state, level) {
  const index = state.discs.indexOf(discOf(state, level)), rest = state.discs.filter((disc) => disc.level !== level);
  const next = rest[Math.min(index, rest.length - 1)];
  return changed(state, rest, next ? next.level : null, { message: `${nameOf(level)} was deleted.` });
}

// Change the level of a disc, and by as much those of all "above" or "below" it, if that is the scope.
function relabel(state, level, wanted, scope) {
  const by = wanted - level;
  const meant = { this: (disc) => disc.level === level, above: (disc) => disc.level <= level,
    below: (disc) => disc.level >= level }[scope];
  const levels = state.discs.filter(meant).map((disc) => disc.level + by);
  if (levels.some((other) => !LEVELS.has(other))) {
    return { ...state, message: `There is no level ${by < 0 ? "above C1" : "below " + nameOf(LAST)} for the last of them.` };
  }
  return changed(state, state.discs.map((disc) => (meant(disc) ? atLevel(disc, disc.level + by) : disc)), wanted);
}

const atLevel = ({ row, col, across }, level) => ({ level, row, col, across });

// Shift all levels by one. The disc that would get no level is removed.
function shiftAll(state, by) {
  const kept = state.discs.filter((disc) => LEVELS.has(disc.level + by));
  const gone = state.discs.find((disc) => !kept.includes(disc));
  const message = gone ? `The ${by > 0 ? "lowest" : "highest"} disc was deleted: there is no level ${by > 0 ? "below" : "above"} ${nameOf(gone.level)}.` : "";
  const selected = LEVELS.has(state.selected + by) && state.selected !== null ? state.selected + by : null;
  return changed(state, kept.map((disc) => atLevel(disc, disc.level + by)), selected, { message });
}

// Return the level of a new disc at a row, from its neighbours; null where there is none between them.
function proposeLevel(discs, row, spacing) {
  const above = discs.filter((disc) => disc.row <= row).at(-1), below = discs.find((disc) => disc.row > row);
  const steps = (level, distance, by) => { // levels that fit into a distance in pixels
    let count = 0;
    for (let left = distance * spacing; LEVELS.has(level); level += by, count++) {
      const gap = LEVELS.get(Math.min(level, level + by))?.gap || 30;
      if (left < gap / 2) break;
      left -= gap;
    }
    return Math.max(count, 1);
  };
  if (above && below) {
    const free = below.level - above.level - 1, share = (row - above.row) / (below.row - above.row);
    if (free < 1) return null;
    return above.level + Math.min(Math.max(Math.round(share * (free + 1)), 1), free);
  }
  if (above) return above.level < LAST ? Math.min(above.level + steps(above.level, row - above.row, 1), LAST) : null;
  if (below) return below.level > FIRST ? Math.max(below.level - steps(below.level, below.row - row, -1), FIRST) : null;
  return LAST;
}

// Add a disc. Where no level is free between its neighbours, those on one side make room: above the disc if the chain
// ends at L5-S1, else below it.
function addDisc(state, place, spacing) {
  const level = proposeLevel(state.discs, place.row, spacing);
  if (level !== null) {
    const message = `${nameOf(level)} was added: change the level from the list if it is another one.`;
    return changed(state, [...state.discs, { level, ...place }], level, { message });
  }
  const above = state.discs.filter((disc) => disc.row <= place.row), below = state.discs.filter((disc) => disc.row > place.row);
  const up = above.length && state.discs.at(-1).level === LAST, side = up ? above : below, by = up ? -1 : 1;
  if (side.some((disc) => !LEVELS.has(disc.level + by))) {
    return { ...state, message: "No level is free there: shift the levels or delete a disc first." };
  }
  const own = up ? above.at(-1).level : below[0].level;
  const shifted = side.map((disc) => atLevel(disc, disc.level + by));
  const message = `${nameOf(own)} was added; the levels ${up ? "above" : "below"} it were shifted by one to make room.`;
  return changed(state, [...(up ? below : above), ...shifted, { level: own, ...place }], own, { message });
}

function undo(state) {
  if (!state.past.length) return { ...state, message: "There is nothing to undo." };
  return step(state, state.past.at(-1), state.past.slice(0, -1), [state.discs, ...state.future]);
}

function redo(state) {
  if (!state.future.length) return { ...state, message: "There is nothing to redo." };
  return step(state, state.future[0], [...state.past, state.discs], state.future.slice(1));
}

function step(state, discs, past, future) {
  const selected = discs.some((disc) => disc.level === state.selected) ? state.selected : null;
  return { discs, past, future, selected, message: "", step: "" };
}

// What the browser keeps over a reload: the review status and note of each scan, its edited labels, and the reviewer's
// name. A key for the labels of each scan: pages that show them share their status.
"use strict";

const STATUS = [["", "none"], ["good", "good"], ["bad", "bad"], ["correct", "to correct"]];
const STORE = "disc-mark-", EDITS = "disc-edit-", REVIEWER = "disc-reviewer";

function recall(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } // without storage, or damaged
}

function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch { // without storage, or with no room left in it: all is kept until the page is closed
    for (const part of document.querySelectorAll(".unstored")) part.hidden = false;
  }
}

const reviews = Object.fromEntries(data.scans.map(({ key }) => [key, recall(STORE + key) || {}]));
const statusOf = (scan) => reviews[scan.key].mark || "";
const noteOf = (scan) => reviews[scan.key].note || "";
const statusLabel = (status) => STATUS.find(([key]) => key === status)[1];

function setReview(scan, change) {
  const own = reviews[scan.key], stored = recall(STORE + scan.key);
  const latest = stored && stored.time > (own.time || "") ? stored : own; // as by another tab with the same page
  reviews[scan.key] = { ...latest, ...change, time: new Date().toISOString() };
  keep(STORE + scan.key, reviews[scan.key]);
}

// Once the labels change that an edit began from, as by correct.py, the key does too, and the edit is shown no more.
const edits = new Map();
for (const scan of data.scans) {
  const stored = scan.plane && recall(EDITS + scan.key);
  if (stored) edits.set(scan, stored);
}

const isEdited = (scan) => edits.has(scan);
const discsOf = (scan) => (isEdited(scan) ? edits.get(scan).discs : scan.discs);

function setEdit(scan, discs) {
  if (sameDiscs(discs, discsOf(scan))) return; // what was only selected keeps the time of its last change
  if (sameDiscs(discs, scan.discs)) edits.delete(scan);
  else edits.set(scan, { discs, time: new Date().toISOString() });
  keep(EDITS + scan.key, edits.get(scan) || null);
}

// What leaves the page: the review status as a table, scans to label again as a list, and the corrections for correct.py.
"use strict";

const oneLine = (text) => String(text).replace(/[\t\r\n]+/g, " ");

function saveReview() {
  const lines = data.scans.filter((scan) => statusOf(scan) || noteOf(scan))
    .map((scan) => [scan.name, statusLabel(statusOf(scan)), noteOf(scan)].map(oneLine).join("\t"));
  download("review.tsv", ["scan\tstatus\tnote", ...lines].join("\n") + "\n", "text/tab-separated-values");
}

function saveList() {
  const again = data.scans.filter((scan) => statusOf(scan) === "bad" || (statusOf(scan) === "correct" && !isEdited(scan)));
  download("redo.txt", again.map((scan) => oneLine(scan.name) + "\n").join(""), "text/plain");
}

// World mm of a disc: NIfTI's, x to the patient's right, y to the front, z to the head.
function worldOf(plane, { row, col, across }) {
  return plane.origin.map((start, k) => start + row * plane.down[k] + col * plane.back[k] + across * plane.across[k]);
}

// The scans that were edited, and those that are good as they are; one that is set to bad is neither.
function correctionsOf(scans, by, software) {
  const time = new Date().toISOString(), entries = [];
  for (const scan of scans.filter((scan) => scan.plane)) {
    const edited = isEdited(scan) && statusOf(scan) !== "bad";
    if (!edited && statusOf(scan) !== "good") continue;
    const entry = { place: scan.place, name: scan.name, key: scan.key, image_digest: scan.image_digest,
      status: edited ? "corrected" : "good", by, time: (edited ? edits.get(scan).time : reviews[scan.key].time) || time,
      note: noteOf(scan) };
    if (edited) {
      entry.discs = discsOf(scan).map((disc) => ({ level: disc.level, name: nameOf(disc.level), row: disc.row,
        col: disc.col, across_mm: disc.across, world_mm: worldOf(scan.plane, disc) }));
    }
    entries.push(entry);
  }
  return { format: "disc-labels corrections", version: 1, software, saved: time, scans: entries };
}

function saveCorrections() {
  const corrections = correctionsOf(data.scans, get("reviewer").value.trim(), data.software);
  const count = (status) => corrections.scans.filter((scan) => scan.status === status).length;
  // With the time in its name: of two files of one name, the browser would give the second one another.
  const file = `corrections_${corrections.saved.replace(/[-:]|\..*/g, "")}.json`;
  get("saved").textContent = corrections.scans.length
    ? `${count("corrected")} corrected and ${count("good")} good saved: run python correct.py ${file} --predictions FOLDER, with the folder of this page`
    : "Nothing to save: edit labels, or set scans to good.";
  if (corrections.scans.length) download(file, JSON.stringify(corrections, null, 1) + "\n", "application/json");
}

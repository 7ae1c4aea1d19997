// Elements of the page. No libraries. Every text is set as text, never as markup: names of files are not trusted.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;

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

// Let the browser save a text as a file.
function download(name, text, type) {
  const link = make("a", null, { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it later than they say
}

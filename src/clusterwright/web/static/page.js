// What a page does beyond HTML: pictures are drawn, refusals are put beside their fields.

import { again, keep, restore } from "./again.js";
import { drawAll } from "./pictures.js";
import { mount } from "./timeline.js";

// Options that are left empty are not part of an address.
document.addEventListener("htmx:configRequest", (event) => {
  const said = event.detail.formData;
  for (const [name, value] of [...said.entries()]) {
    if (typeof value === "string" && value.trim() === "") said.delete(name);
  }
});

document.addEventListener("submit", (event) => {
  for (const field of event.target.elements) {
    if (field.name && field.value === "") field.disabled = true;
  }
  setTimeout(() => {
    for (const field of event.target.elements) field.disabled = false;
  });
});

// A question that takes long says how far it is, and can be stopped.
const PATIENCE = 700;
let waiting = null;

function begin(form, address) {
  end();
  const timer = setTimeout(() => {
    const [path, query = ""] = address.split("?");
    const source = new EventSource(`/progress${path}?${query}`);
    const line = document.createElement("p");
    const words = document.createElement("span");
    const stop = document.createElement("button");
    line.className = "working";
    line.setAttribute("role", "status");
    words.textContent = "Working …";
    stop.type = "button";
    stop.textContent = "Stop";
    stop.addEventListener("click", () => {
      htmx.trigger(form, "htmx:abort");
      end();
    });
    line.append(words, stop);
    document.getElementById("answer").before(line);
    source.addEventListener("message", (event) => {
      words.textContent = event.data ? `Working: ${event.data}` : "Working …";
    });
    source.addEventListener("end", () => source.close());
    waiting = { source, line };
  }, PATIENCE);
  waiting = { timer };
}

function end() {
  clearTimeout(waiting?.timer);
  waiting?.source?.close();
  waiting?.line?.remove();
  waiting = null;
}

document.addEventListener("htmx:beforeSend", (event) => {
  if (again(event)) return;
  begin(event.detail.elt, event.detail.pathInfo.finalRequestPath);
});
for (const name of ["htmx:afterRequest", "htmx:sendAbort", "htmx:sendError"]) {
  document.addEventListener(name, (event) => again(event) || end());
}

function beside(root) {
  for (const old of document.querySelectorAll(".field [aria-invalid]")) {
    old.removeAttribute("aria-invalid");
  }
  for (const old of document.querySelectorAll(".wrong")) old.textContent = "";
  const refused = root.querySelector(".refused[data-field]");
  const name = refused?.dataset.field;
  if (!name) return;
  const field = document.getElementById(`field-${name}`);
  const place = document.getElementById(`wrong-${name}`);
  if (!field || !place) return;
  field.setAttribute("aria-invalid", "true");
  place.textContent = refused.textContent;
  field.closest("details")?.setAttribute("open", "");
}

// A long table is narrowed to rows with some words; without a script there is no field for them.
function narrowable(root) {
  for (const line of root.querySelectorAll(".narrow")) line.hidden = false;
}

document.addEventListener("input", (event) => {
  const line = event.target.closest(".narrow");
  if (!line) return;
  const wanted = event.target.value.trim().toLowerCase();
  const rows = [...line.nextElementSibling.querySelectorAll("tbody tr")];
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  const left = rows.filter((row) => !row.hidden).length;
  line.querySelector("[role=status]").textContent = wanted ? `${left} of ${rows.length}` : "";
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (again(event)) keep(event.detail);
});

document.addEventListener("htmx:afterSwap", (event) => {
  const { target } = event.detail;
  beside(target);
  narrowable(target);
  mount(target);
  const drawn = drawAll(target);
  if (again(event)) restore(target, drawn);
});
// The address holds the whole state: going back asks for it again.
window.addEventListener("popstate", () => location.reload());

// On a narrow page an answer comes before the form that it is the answer to.
if (matchMedia("(max-width: 56rem)").matches && document.querySelector(".found")) {
  document.querySelector(".asking")?.removeAttribute("open");
}

drawAll(document);
mount(document);
narrowable(document);

// An answer that still grows is asked for again: what a reader opened, scrolled or typed stays.

const FAULT = 500;
const HELD = "details, summary, .scroll, pre, .narrow input, a";
let shown = "";
let held = new Map();

// Whether what happens is about such a look, and not about what somebody asked.
export function again(event) {
  return Boolean(event.detail.requestConfig?.elt.matches(".again"));
}

// Nobody looks, or somebody reads with a selection that a new answer would take away.
document.addEventListener("htmx:beforeRequest", (event) => {
  const waits = document.hidden || !getSelection().isCollapsed;
  if (waits && again(event)) event.preventDefault();
});

// Parts of an answer are the same ones in the next if they are called the same.
function called(part) {
  const summary = part.closest("details")?.querySelector("summary").textContent;
  const table = part.closest(".narrow")?.nextElementSibling.getAttribute("aria-label");
  const own = part.getAttribute("aria-label") ?? part.getAttribute("href");
  return [part.tagName, summary, table, own].join("|");
}

// Before a swap: an answer that says the same, or none at all, changes nothing.
export function keep(detail) {
  const { target, serverResponse, xhr } = detail;
  detail.shouldSwap &&= xhr.status < FAULT && serverResponse !== shown;
  if (!detail.shouldSwap) return;
  shown = serverResponse;
  held = new Map();
  for (const part of target.querySelectorAll(HELD)) {
    const { open, value, scrollLeft, scrollTop } = part;
    const focused = part === document.activeElement;
    held.set(called(part), { open, value, scrollLeft, scrollTop, focused });
  }
  target.style.minHeight = `${target.offsetHeight}px`; // or the page would jump while it is drawn
}

// After it.
export function restore(target, drawn) {
  for (const part of target.querySelectorAll(HELD)) {
    const before = held.get(called(part));
    if (!before) continue;
    if (part.matches("details")) part.open = before.open;
    if (part.matches("input") && before.value) {
      part.value = before.value;
      part.dispatchEvent(new Event("input", { bubbles: true }));
    }
    part.scrollTo(before.scrollLeft, before.scrollTop);
    if (before.focused) part.focus({ preventScroll: true });
  }
  drawn.then(() => {
    target.style.minHeight = "";
  });
}

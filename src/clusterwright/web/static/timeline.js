// The pipeline timeline of a page: one row per rank, every operation a bar, 100,000 of them smooth.
//
//   <figure class="timeline" data-columns="/simulate/train/timeline?…"><canvas></canvas></figure>
//
// The address gives the columns of report/timeline_columns.py; timeline_painter.js draws them;
// timeline.css has the colours. Here: loading, what stands around the canvas, and hands.

import { Painter, decode, firstAfter, formatTime } from "./timeline_painter.js";

const DEEPEST = 1e-6;   // the shortest time that is shown, as a share of the step
const GLIDE = 160;      // a zoom by key or button [ms]
const QUIET = 250;      // after the last change, before it is said [ms]
const CLICK = 4;        // a pointer that moved less has not dragged [CSS px]
const KEYS = "Arrow keys move and change the rank; Shift and arrow keys step from operation to operation; "
  + "plus and minus zoom, Enter zooms to an operation, 0 shows the whole step.";
const HELP = "Drag to move; the wheel zooms once the picture was clicked, or with Ctrl. ";
const live = new WeakMap();

/** The timeline of a figure, once it was mounted. */
export const timelineOf = (figure) => live.get(figure);

/** Draw every timeline under an element that is not drawn yet. */
export function mount(root = document) {
  for (const figure of root.querySelectorAll("figure.timeline[data-columns]")) {
    if (!live.has(figure)) live.set(figure, new Timeline(figure));
  }
}

function make(name, className, parent, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  parent.append(element);
  return element;
}

class Timeline {
  constructor(figure) {
    this.figure = figure;
    this.canvas = figure.querySelector("canvas") ?? make("canvas", "", figure);
    this.picked = -1;
    this.pointers = new Map();
    this.gone = new AbortController();
    this.loaded = this.load();
  }

  async load() {
    this.status = make("p", "timeline-status", this.figure, "Playing the step out …");
    this.status.setAttribute("role", "status");
    try {
      const answer = await fetch(this.figure.dataset.columns, { signal: this.gone.signal });
      const found = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(found.error ?? `the server answered ${answer.status}`);
      this.step = decode(found);
    } catch (fault) {
      this.canvas.hidden = true;
      this.status.textContent = `There is no timeline: ${fault.message}`;
      return;
    }
    this.view = { from: 0, to: this.step.end_time };
    this.painter = new Painter(this.canvas, this.step);
    this.furnish();
    this.listen();
    this.say();
  }

  /** Legend and buttons above, tooltip and words below, and names for those who hear the page. */
  furnish() {
    const { figure, canvas, step } = this, bar = make("div", "timeline-bar", figure);
    canvas.before(bar);
    const legend = make("ul", "timeline-legend", bar);
    for (const kind of step.used) make("li", `timeline-key timeline-kind-${kind}`, legend, step.kinds[kind]);
    make("li", "timeline-key timeline-tail", legend, step.tail);
    this.memoryKey = make("li", "timeline-key timeline-memory", legend, "activations kept");
    if (step.shades > 1) make("li", "", legend, step.twoWays ? "fainter: the other direction" : "fainter: later chunks");
    const tools = make("div", "timeline-tools", bar);
    const zooms = [["−", "Zoom out", () => this.zoom(2)], ["+", "Zoom in", () => this.zoom(0.5)],
      ["Whole step", "Show the whole step", () => this.reset()]];
    for (const [sign, name, act] of zooms) {
      const button = make("button", "", tools, sign);
      button.type = "button";
      button.title = name;
      if (sign.length === 1) button.setAttribute("aria-label", name);
      button.addEventListener("click", act, { signal: this.gone.signal });
    }
    this.tip = make("div", "timeline-tip", figure);
    this.tip.hidden = true;
    this.tip.setAttribute("aria-hidden", "true"); // the status line says the same
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Pipeline timeline. ${step.summary} ${KEYS}`);
    if (!figure.querySelector("figcaption")) make("figcaption", "", figure, step.summary);
    make("p", "timeline-help", figure, HELP + KEYS);
  }

  listen() {
    const { canvas } = this, signal = this.gone.signal;
    const on = (target, name, act) => target.addEventListener(name, act.bind(this), { signal, passive: false });
    on(canvas, "wheel", this.onWheel);
    on(canvas, "pointerdown", this.onDown);
    on(canvas, "pointermove", this.onMove);
    for (const name of ["pointerup", "pointercancel"]) on(canvas, name, this.onUp);
    on(canvas, "pointerleave", () => this.pointers.size || this.pick(-1));
    on(canvas, "dblclick", this.reset);
    on(canvas, "keydown", this.onKey);
    on(canvas, "blur", () => this.pick(-1));
    on(matchMedia("(prefers-color-scheme: dark)"), "change", this.recolour);
    const theme = new MutationObserver(() => this.recolour());
    theme.observe(document.documentElement, { attributes: true });
    const size = new ResizeObserver(() => (this.figure.isConnected ? this.resize() : this.gone.abort()));
    size.observe(this.figure);
    signal.addEventListener("abort", () => [theme, size].forEach((observer) => observer.disconnect()));
  }

  resize() {
    if (!this.canvas.clientWidth) return;
    this.painter.resize();
    this.memoryKey.hidden = this.painter.memory === 0;
    this.recolour();
  }

  recolour() {
    this.painter.recolour(this.figure);
    this.ask();
  }

  /** Draw at the next frame. */
  ask() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.painter.ready) this.painter.draw(this.view, this.picked);
    });
  }

  // ---- the view

  show(from, to) {
    const whole = this.step.end_time, span = Math.min(whole, Math.max(to - from, whole * DEEPEST));
    const begin = Math.min(Math.max(0, from), whole - span);
    this.view = { from: begin, to: begin + span };
    this.ask();
    this.say();
  }

  /** Make the view so many times as long; what is at a share of its width stays there. */
  scale(factor, share) {
    const { from, to } = this.view, span = (to - from) * factor;
    const fixed = from + (to - from) * share;
    this.show(fixed - span * share, fixed + span * (1 - share));
  }

  move(share) {
    const { from, to } = this.view, by = (to - from) * share;
    this.show(from + by, to + by);
  }

  zoom(factor) {
    const { from, to } = this.view, { start, end } = this.step, op = this.picked;
    const middle = op < 0 ? (from + to) / 2 : Math.min(to, Math.max(from, (start[op] + end[op]) / 2));
    this.glide(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  reset() { this.glide(0, this.step.end_time); }

  /** Go to another view in a few frames; at once for those who want no motion. */
  glide(from, to) {
    const first = { ...this.view }, begin = performance.now(), number = (this.glides = (this.glides ?? 0) + 1);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.show(from, to);
    const step = (now) => {
      if (number !== this.glides) return;
      const part = Math.min(1, Math.max(0, (now - begin) / GLIDE)), done = 1 - (1 - part) ** 3;
      this.show(first.from + (from - first.from) * done, first.to + (to - first.to) * done);
      if (part < 1) requestAnimationFrame(step);
    };
    return requestAnimationFrame(step);
  }

  // ---- one operation

  /** Mark an operation (-1: none), with its tooltip. */
  pick(op, { aloud = false } = {}) {
    if (op !== this.picked) this.ask();
    this.picked = op;
    this.tip.hidden = op < 0;
    if (op < 0 && this.spoken >= 0) this.say();
    if (op < 0) return;
    this.tip.replaceChildren();
    const [head, ...rows] = this.about(op);
    make("b", "", this.tip, head);
    for (const row of rows) make("span", "", this.tip, row);
    this.place(op);
    if (aloud) this.say();
  }

  /** Put the tooltip beside its operation, inside the figure. */
  place(op) {
    const { painter, canvas, tip, view } = this, { dpr } = painter;
    const x0 = Math.max(painter.left, painter.xOf(this.step.start[op], view)) / dpr;
    const x1 = Math.min(painter.left + painter.width, painter.xOf(this.step.end[op], view)) / dpr;
    tip.hidden = x1 < painter.left / dpr || x0 * dpr > painter.left + painter.width;
    const most = canvas.clientWidth - tip.offsetWidth, under = painter.rowTop(this.rankOf(op)) + painter.pitch;
    const x = Math.max(0, Math.min((x0 + x1 - tip.offsetWidth) / 2, most));
    let y = canvas.offsetTop + under / dpr + 2;
    if (under / dpr + tip.offsetHeight > canvas.clientHeight + 40) {
      y = canvas.offsetTop + (under - painter.pitch) / dpr - tip.offsetHeight - 6;
    }
    tip.style.transform = `translate(${Math.round(canvas.offsetLeft + x)}px, ${Math.round(y)}px)`;
  }

  rankOf(op) { return this.step.first.findLastIndex((first) => first <= op); }

  /** An operation in words, the line to read first. */
  about(op) {
    const { step } = this, stage = step.stage[op], place = (one) =>
      `${step.twoWays ? `direction ${step.ways[one] + 1}` : `chunk ${step.chunks[one] + 1}`}, stage ${one + 1}`;
    const fused = step.kind[op] === step.fused;
    const kept = (step.during[op] / 65535) * step.peak_bytes / 2 ** 30;
    return [
      `${step.kinds[step.kind[op]]}, micro-batch ${this.painter.number(op)}`,
      `rank ${this.rankOf(op)}, ${place(stage)}${fused ? `; backward ${place(step.other_stage[op])}` : ""}`,
      `starts at ${formatTime(step.start[op], 5)}, takes ${formatTime(step.duration[op], 4)}`,
      `keeps ${kept.toLocaleString("en", { maximumSignificantDigits: 3 })} GiB of activations`,
    ];
  }

  /** Say the view, and the operation that is marked, once nothing changes any more. */
  say() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      const { from, to } = this.view, whole = this.step.end_time;
      this.spoken = this.picked;
      const part = to - from > whole * 0.9999 ? `The whole step, ${formatTime(whole)}`
        : `${formatTime(from, 5)} to ${formatTime(to, 5)} of ${formatTime(whole)}`;
      this.status.textContent = this.picked < 0 ? `${part}.` : `${part}. ${this.about(this.picked).join("; ")}.`;
    }, QUIET);
  }

  /** The operation at a point of the canvas, or the nearest one within a few pixels; -1: none. */
  at(x, y) {
    const { painter, step, view } = this, rank = Math.floor((y * painter.dpr - painter.top) / painter.pitch);
    if (rank < 0 || rank >= painter.ranks || x * painter.dpr < painter.left) return -1;
    const time = painter.timeOf(x * painter.dpr, view), near = (3 * (view.to - view.from)) / painter.width;
    const op = firstAfter(step, rank, time - near);
    return op < step.first[rank + 1] && step.start[op] < time + near ? op : -1;
  }

  // ---- hands

  onWheel(event) {
    const { view, step, painter } = this, sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const mine = event.ctrlKey || event.metaKey || document.activeElement === this.canvas;
    if (!sideways && !mine) return; // whoever scrolls past is not held up
    if (!sideways && event.deltaY > 0 && view.to - view.from >= step.end_time) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (sideways) this.move((event.deltaX * lines * painter.dpr) / painter.width);
    else this.scale(Math.exp(event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0018)), this.shareAt(event));
    this.hover(event);
  }

  /** Where a pointer is along the rows, from 0 to 1. */
  shareAt(event) {
    const { left, width, dpr } = this.painter;
    return Math.min(1, Math.max(0, (event.offsetX * dpr - left) / width));
  }

  hover(event) { if (event.pointerType !== "touch") this.pick(this.at(event.offsetX, event.offsetY)); }

  onDown(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const small = event.offsetY * this.painter.dpr < this.painter.overview?.height;
    this.pointers.set(event.pointerId, { x: event.offsetX, share: this.shareAt(event), small });
    this.dragged = 0;
    if (small) this.centre(this.shareAt(event));
  }

  onMove(event) {
    const held = this.pointers.get(event.pointerId);
    if (!held) return this.hover(event);
    const before = this.spread(), share = this.shareAt(event), by = event.offsetX - held.x;
    this.dragged += Math.abs(by);
    Object.assign(held, { x: event.offsetX, share });
    if (this.dragged < CLICK) return undefined;
    this.pick(-1);
    if (held.small) return this.centre(share);
    const { dpr, width } = this.painter;
    this.move((-by * dpr) / width / this.pointers.size);
    if (this.pointers.size === 2) this.scale(before.apart / this.spread().apart, this.spread().middle);
    return undefined;
  }

  onUp(event) {
    this.pointers.delete(event.pointerId);
    if (event.type === "pointerup" && this.dragged < CLICK) this.pick(this.at(event.offsetX, event.offsetY), { aloud: true });
  }

  /** Two fingers: how far apart, and what is between them. */
  spread() {
    const shares = [...this.pointers.values()].map((held) => held.share);
    return { apart: Math.max(0.01, Math.abs(shares[0] - shares.at(-1))), middle: (shares[0] + shares.at(-1)) / 2 };
  }

  centre(share) {
    const { from, to } = this.view, middle = share * this.step.end_time;
    this.show(middle - (to - from) / 2, middle + (to - from) / 2);
  }

  onKey(event) {
    const { key, shiftKey } = event, whole = this.step.end_time, span = this.view.to - this.view.from;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), "0": () => this.reset(),
      ArrowLeft: () => (shiftKey ? this.stepBy(-1) : this.move(-0.1)),
      ArrowRight: () => (shiftKey ? this.stepBy(1) : this.move(0.1)),
      ArrowUp: () => this.changeRank(-1), ArrowDown: () => this.changeRank(1),
      Home: () => this.show(0, span), End: () => this.show(whole - span, whole),
      Enter: () => this.picked >= 0 && this.zoomTo(this.picked), Escape: () => this.pick(-1),
    };
    if (!acts[key]) return;
    event.preventDefault();
    acts[key]();
    if (this.picked >= 0) this.place(this.picked);
    this.say();
  }

  /** The marked operation, or the first one of the first rank that is seen whole. */
  current() {
    const { step, view } = this, op = firstAfter(step, 0, view.from);
    if (this.picked >= 0) return this.picked;
    return Math.min(step.first[1] - 1, step.start[op] < view.from ? op + 1 : op);
  }

  stepBy(number) {
    const rank = this.rankOf(this.current()), { first } = this.step;
    const next = this.picked < 0 ? this.current() : this.picked + number;
    this.reveal(Math.min(first[rank + 1] - 1, Math.max(first[rank], next)));
  }

  changeRank(number) {
    const { step } = this, op = this.current(), middle = (step.start[op] + step.end[op]) / 2;
    const wanted = this.picked < 0 ? 0 : this.rankOf(op) + number;
    const rank = Math.min(this.painter.ranks - 1, Math.max(0, wanted));
    this.reveal(Math.min(step.first[rank + 1] - 1, firstAfter(step, rank, middle)));
  }

  /** Mark an operation, and move the view if it is not in it. */
  reveal(op) {
    const { start, end } = this.step, { from, to } = this.view, span = to - from;
    if (end[op] > to || start[op] < from) this.show(start[op] - span * 0.3, start[op] + span * 0.7);
    this.pick(op, { aloud: true });
  }

  zoomTo(op) {
    const { start, end } = this.step, around = 4 * (end[op] - start[op]);
    this.glide(start[op] - around, end[op] + around);
  }
}

mount();
document.addEventListener("htmx:load", (event) => mount(event.target.parentElement ?? document));

// Draws a played-out step on a canvas. What it costs is what is seen: bars of some width are
// rectangles; narrower ones share the columns of pixels that they fall on, each kind as high as its
// share of the time, so that what stays free is idle time. No events here: see timeline.js.
// Lengths are device pixels; `this.dpr` of them are one of CSS.

const GUTTER = 56, NARROW_GUTTER = 30, OVERVIEW = 32, AXIS = 24, MARGIN = 10; // [CSS px]
const HIGHEST = 40, LOWEST = 7, ALL_ROWS = 600; // a row with its memory and gap, and all [CSS px]
const WIDE = 2.5;        // narrower bars are merged [CSS px]
const LEVELS = 12;       // into which a column of merged bars is cut, at most
const MOST_PIXELS = 1e6; // of all merged rows together, before they are stretched
const PALEST = 0.5;      // of the last chunk's colour, or of the other direction's; the first has 1
const COLOURS = ["back", "text", "soft", "line", "row", "memory", "mark", "tail"];
const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

/** The columns as arrays, with every start and end added up, and the paint of every operation. */
export function decode(sent) {
  const step = { ...sent, first: [0] };
  for (const [name, { type, data }] of Object.entries(sent.columns)) {
    const text = atob(data), bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    step[name] = new TYPES[type](bytes.buffer);
  }
  for (const count of sent.counts) step.first.push(step.first.at(-1) + count);
  step.start = new Float64Array(step.kind.length);
  step.end = new Float64Array(step.kind.length);
  for (let rank = 0; rank < sent.counts.length; rank++) {
    for (let op = step.first[rank], time = 0; op < step.first[rank + 1]; op++) {
      step.start[op] = time += step.wait[op];
      step.end[op] = time += step.duration[op];
    }
  }
  step.twoWays = Math.max(...sent.ways) > 0;
  const shadeOf = step.twoWays ? sent.ways : sent.chunks;
  step.shades = Math.max(...shadeOf) + 1;
  step.paint = Uint16Array.from(step.kind, (kind, op) => kind * step.shades + shadeOf[step.stage[op]]);
  step.used = [...sent.kinds.keys()].filter((kind) => step.kind.includes(kind));
  return step;
}

/** The first of a rank's operations that ends after a time, or the number behind its last. */
export function firstAfter(step, rank, time) {
  let low = step.first[rank], high = step.first[rank + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (step.end[middle] > time) high = middle; else low = middle + 1;
  }
  return low;
}

/** Seconds as clusterwright.units.format_time writes them. */
export function formatTime(value, digits = 3) {
  if (!Number.isFinite(value) || value === 0) return `${value} s`;
  for (const [limit, unit, name] of [[1e-6, 1e-9, "ns"], [1e-3, 1e-6, "us"], [1, 1e-3, "ms"]]) {
    if (Number(Math.abs(value).toPrecision(digits)) < limit) return `${fixed(value / unit, digits)} ${name}`;
  }
  if (Math.abs(value) < 120) return `${fixed(value, digits)} s`;
  if (Math.abs(value) < 7200) return `${whole(value / 60, digits - 1)} min`;
  return `${whole(value / 3600, digits - 1)} h`;
}

function whole(value, digits) {
  return fixed(value, Math.max(digits, Math.floor(Math.log10(Math.abs(value))) + 1));
}

function fixed(value, digits) {
  const rounded = Number(value.toPrecision(digits));
  return withPlaces(rounded, Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(rounded))), 0));
}

const withPlaces = (value, places) =>
  value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });

/** Round times of a view, at most so many, and how they are written: all in one unit. */
function ticksOf({ from, to }, most) {
  const least = (to - from) / most, power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= least);
  const [unit, name] = to < 2e-3 ? [1e-6, "us"] : to < 2 ? [1e-3, "ms"] : [1, "s"];
  const places = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  const times = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) times.push(n * step);
  return times.map((time) => [time, `${withPlaces(time / unit, places)} ${name}`]);
}

const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;
const packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0; // as ImageData holds it
const mixed = (front, back, share) => front.map((value, k) => value * share + back[k] * (1 - share));
const brightness = ([r, g, b]) => 0.3 * r + 0.59 * g + 0.11 * b;

export class Painter {
  constructor(canvas, step) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.step = step;
    this.ranks = step.counts.length;
    this.ready = false;
  }

  /** Fit the canvas to the width that it has on the page. */
  resize() {
    const width = this.canvas.clientWidth, each = Math.max(LOWEST, Math.min(HIGHEST, ALL_ROWS / this.ranks));
    this.dpr = Math.max(1, devicePixelRatio || 1);
    const px = (length) => Math.round(length * this.dpr);
    this.memory = each >= 18 ? px(each * 0.28) : 0;
    this.gap = px(each >= 18 ? 7 : each >= 9 ? 2 : 1);
    this.bar = px(each) - this.memory - this.gap;
    this.left = px(width < 560 ? NARROW_GUTTER : GUTTER);
    this.width = Math.max(1, px(width - MARGIN) - this.left);
    this.top = px(OVERVIEW + AXIS + 4);
    this.canvas.width = px(width);
    this.canvas.height = this.top + this.ranks * this.pitch;
    this.canvas.style.height = `${this.canvas.height / this.dpr}px`;
    this.overview = this.drawn = this.scene = null;
  }

  get pitch() { return this.bar + this.memory + this.gap; }

  rowTop(rank) { return this.top + rank * this.pitch; }

  xOf(time, { from, to }) { return this.left + ((time - from) / (to - from)) * this.width; }

  timeOf(x, { from, to }) { return from + ((x - this.left) / this.width) * (to - from); }

  /** Read the custom properties that hold for an element, in whatever form the browser knows. */
  recolour(element) {
    const { step } = this, probe = element.appendChild(document.createElement("i"));
    const small = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const pixel = small.getContext("2d", { willReadFrequently: true });
    const read = (name) => {
      probe.style.color = `var(--timeline-${name})`;
      pixel.fillStyle = getComputedStyle(probe).color;
      pixel.fillRect(0, 0, 1, 1);
      return [...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    this.colours = Object.fromEntries(COLOURS.map((name) => [name, css(read(name))]));
    this.paints = [];
    this.inks = [];
    this.merged = new Uint32Array(step.kinds.length);
    const row = read("row");
    for (const kind of step.used) {
      const own = read(`kind-${kind}`), shades = Math.max(1, step.shades - 1);
      for (let shade = 0; shade < step.shades; shade++) {
        const colour = mixed(own, row, 1 - ((1 - PALEST) * shade) / shades);
        this.paints[kind * step.shades + shade] = css(colour);
        this.inks[kind * step.shades + shade] = brightness(colour) > 122 ? "#10141c" : "#fff";
      }
      this.merged[kind] = packed(mixed(own, row, step.shades > 1 ? (1 + PALEST) / 2 : 1));
    }
    this.font = getComputedStyle(element).fontFamily;
    probe.remove();
    this.overview = this.drawn = this.scene = null;
    this.ready = true;
  }

  /** One frame: a view {from, to} [s], with an operation marked (-1: none). */
  draw(view, picked) {
    const { context: c, canvas } = this, again = this.drawn?.from === view.from && this.drawn.to === view.to;
    if (again && this.scene) {
      c.drawImage(this.scene, 0, 0);
    } else {
      this.drawScene(view);
      this.drawn = { ...view };
      this.scene = null;
      if (again) { // only the mark moves now: keep what does not
        this.scene = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
        this.scene.getContext("2d", { alpha: false }).drawImage(canvas, 0, 0);
      }
    }
    if (picked >= 0) this.drawMarks(view, picked);
  }

  drawScene(view) {
    const { context: c, canvas } = this;
    c.fillStyle = this.colours.back;
    c.fillRect(0, 0, canvas.width, canvas.height);
    this.drawOverview(view);
    this.drawAxis(view);
    this.drawNames();
    const box = { left: this.left, width: this.width, bar: this.bar, memory: this.memory, top: (r) => this.rowTop(r) };
    this.drawLabels(this.drawRows(c, view, box));
  }

  /** The whole step in small, drawn once and then copied, and the view's place in it. */
  drawOverview(view) {
    const { context: c, dpr, left, width, step } = this, height = Math.round(OVERVIEW * dpr);
    const whole = { from: 0, to: step.end_time };
    if (!this.overview) {
      this.overview = Object.assign(document.createElement("canvas"), { width: this.canvas.width, height });
      const own = this.overview.getContext("2d", { alpha: false }), each = height / this.ranks;
      own.fillStyle = this.colours.back;
      own.fillRect(0, 0, this.canvas.width, height);
      const bar = Math.max(1, Math.ceil(each) - (each > 4 * dpr ? Math.round(dpr) : 0));
      this.drawRows(own, whole, { left, width, bar, memory: 0, top: (rank) => Math.floor(rank * each) });
    }
    c.drawImage(this.overview, 0, 0);
    const from = this.xOf(view.from, whole), to = this.xOf(view.to, whole);
    c.globalAlpha = 0.75;
    c.fillStyle = this.colours.back;
    c.fillRect(left, 0, from - left, height);
    c.fillRect(to, 0, left + width - to, height);
    c.globalAlpha = 1;
    c.strokeStyle = this.colours.mark;
    c.lineWidth = 1.5 * dpr;
    c.strokeRect(from, dpr, Math.max(to - from, 2 * dpr), height - 2 * dpr);
  }

  drawAxis(view) {
    const { context: c, dpr, colours } = this, base = Math.round((OVERVIEW + AXIS) * dpr);
    this.write(11, "center");
    for (const [time, said] of ticksOf(view, Math.max(2, this.width / (105 * dpr)))) {
      const x = Math.round(this.xOf(time, view)), half = c.measureText(said).width / 2;
      c.fillStyle = colours.line;
      c.fillRect(x, base - 2 * dpr, Math.round(dpr), this.canvas.height - base);
      c.fillStyle = colours.soft;
      c.fillText(said, Math.min(x, this.canvas.width - half), base - 11 * dpr);
    }
  }

  drawNames() {
    const { context: c, dpr } = this;
    const every = [1, 2, 5, 10, 20, 50, 100].find((number) => number * this.pitch >= 13 * dpr) ?? 200;
    this.write(11, "right");
    c.fillStyle = this.colours.soft;
    for (let rank = 0; rank < this.ranks; rank += every) {
      const name = this.left > 40 * dpr ? `rank ${rank}` : rank;
      c.fillText(name, this.left - 7 * dpr, this.rowTop(rank) + this.bar / 2 + dpr / 2);
    }
  }

  write(size, align) {
    this.context.font = `${size * this.dpr}px ${this.font}`;
    this.context.textAlign = align;
    this.context.textBaseline = "middle";
  }

  /** All ranks' bars in a view. Returns those that may have room for words: [op, x, width, y, …]. */
  drawRows(c, view, box) {
    const { step, dpr } = this, scale = box.width / (view.to - view.from), crowd = this.emptyCrowd(box);
    const rects = this.paints.map(() => []), labels = [];
    const until = Math.min(box.width, (step.end_time - view.from) * scale);
    for (let rank = 0; rank < this.ranks; rank++) {
      const top = box.top(rank), begin = firstAfter(step, rank, view.from);
      let op = begin, crowded = false;
      c.fillStyle = this.colours.row;
      c.fillRect(box.left, top, until, box.bar);
      for (; op < step.first[rank + 1] && step.start[op] < view.to; op++) {
        const x0 = Math.max(0, (step.start[op] - view.from) * scale);
        const x1 = Math.min(box.width, (step.end[op] - view.from) * scale), width = x1 - x0;
        if (width < WIDE * dpr) {
          crowded = true;
          this.share(crowd, step.kind[op], x0 / crowd.cell, x1 / crowd.cell);
        } else {
          const from = Math.round(x0), to = Math.round(x1) - (width > 5 * dpr ? Math.round(dpr) : 0);
          rects[step.paint[op]].push(box.left + from, top, to - from);
          if (width > 14 * dpr) labels.push(op, box.left + from, to - from, top);
        }
      }
      if (crowded) this.stack(crowd, rank);
      if (box.memory) this.drawMemory(c, view, box, { begin, end: op, rank, scale });
    }
    this.drawCrowd(c, crowd, box);
    this.drawTails(c, box, Math.max(0, (step.pipeline_time - view.from) * scale), until);
    this.drawRects(c, rects, box.bar);
    return labels;
  }

  /** Where narrow bars are gathered: columns one CSS pixel wide, `cell`; kept from frame to frame. */
  emptyCrowd(box) {
    const cell = Math.max(1, Math.round(this.dpr)), columns = Math.ceil(box.width / cell);
    const levels = Math.max(1, Math.min(LEVELS, box.bar, Math.floor(MOST_PIXELS / (columns * this.ranks))));
    if (this.crowd?.columns !== columns || this.crowd.levels !== levels) {
      const image = new ImageData(columns, levels * this.ranks), pixels = new Uint32Array(image.data.buffer);
      const shares = new Float32Array(columns * this.step.kinds.length);
      this.crowd = { cell, columns, levels, image, pixels, shares, ranks: [] };
    }
    if (this.crowd.ranks.length) this.crowd.pixels.fill(0);
    this.crowd.ranks = [];
    return this.crowd;
  }

  /** Add a narrow bar to the columns that it falls on. */
  share({ shares, columns }, kind, x0, x1) {
    const kinds = this.step.kinds.length;
    for (let x = Math.floor(x0); x < x1 && x < columns; x++) {
      shares[x * kinds + kind] += Math.min(x + 1, x1) - Math.max(x, x0);
    }
  }

  /** A row's columns of shares as pixels, kind upon kind from below; the shares are used up. */
  stack(crowd, rank) {
    const { shares, levels, columns, pixels } = crowd, kinds = this.step.kinds.length;
    crowd.ranks.push(rank);
    for (let x = 0; x < columns; x++) {
      let sum = 0, level = 0;
      for (let kind = 0; kind < kinds; kind++) {
        const share = shares[x * kinds + kind];
        if (share === 0) continue;
        sum += share;
        for (const to = Math.round(sum * levels); level < to && level < levels; level++) {
          pixels[((rank + 1) * levels - 1 - level) * columns + x] = this.merged[kind];
        }
      }
    }
    shares.fill(0);
  }

  drawCrowd(c, { image, levels, ranks, columns, cell }, box) {
    if (!ranks.length) return;
    this.sheet ??= document.createElement("canvas");
    const { sheet } = this;
    if (sheet.width !== image.width) sheet.width = image.width;
    if (sheet.height !== image.height) sheet.height = image.height;
    sheet.getContext("2d").putImageData(image, 0, 0);
    c.imageSmoothingEnabled = false;
    for (const rank of ranks) {
      c.drawImage(sheet, 0, rank * levels, columns, levels, box.left, box.top(rank), columns * cell, box.bar);
    }
  }

  drawRects(c, rects, height) {
    rects.forEach((list, paint) => {
      c.fillStyle = this.paints[paint];
      for (let k = 0; k < list.length; k += 3) c.fillRect(list[k], list[k + 1], list[k + 2], height);
    });
  }

  drawTails(c, box, from, until) {
    c.fillStyle = this.colours.tail;
    for (let rank = 0; rank < this.ranks && until > from; rank++) {
      c.fillRect(box.left + from, box.top(rank), Math.max(until - from, this.dpr), box.bar);
    }
  }

  /** What a rank keeps, below its bars: the most that falls on each column of pixels. */
  drawMemory(c, view, box, { begin, end, rank, scale }) {
    const { step, dpr } = this, kept = new Uint16Array(box.width), last = step.first[rank + 1];
    const keep = (from, to, held) => {
      const stop = Math.min(box.width, to); // a column belongs to what touches it
      for (let x = Math.floor(from); x < stop; x++) if (kept[x] < held) kept[x] = held;
    };
    for (let op = Math.max(step.first[rank], begin - 1); op < end; op++) {
      const x1 = (step.end[op] - view.from) * scale;
      const next = op + 1 < last ? (step.start[op + 1] - view.from) * scale : x1;
      if (x1 > 0) keep(Math.max(0, step.start[op] - view.from) * scale, x1, step.during[op]);
      if (next > x1 + 1) keep(Math.max(0, x1), next, step.after[op]);
    }
    c.fillStyle = this.colours.memory;
    const base = box.top(rank) + box.bar + Math.round(dpr), most = box.memory - Math.round(dpr);
    for (let x = 0, from = 0; x <= box.width; x++) {
      if (x < box.width && kept[x] === kept[from]) continue;
      const height = Math.ceil((kept[from] / 65535) * most);
      if (height) c.fillRect(box.left + from, base + most - height, x - from, height);
      from = x;
    }
  }

  /** Micro-batches in the bars that have room; with more room the kind as well. */
  drawLabels(labels) {
    const { context: c, step, dpr } = this;
    if (this.bar < 11 * dpr) return;
    this.write(Math.min(11, this.bar / dpr - 2), "center");
    const digit = c.measureText("0").width;
    for (let k = 0; k < labels.length; k += 4) {
      const op = labels[k], width = labels[k + 2];
      let said = this.number(op);
      if (said.length * digit + 4 * dpr > width) continue;
      const long = `${step.kinds[step.kind[op]]} ${said}`;
      if (long.length * digit + 12 * dpr < width) said = long;
      c.fillStyle = this.inks[step.paint[op]];
      c.fillText(said, labels[k + 1] + width / 2, labels[k + 3] + this.bar / 2 + dpr / 2);
    }
  }

  number(op) {
    const { step } = this, own = `${step.micro_batch[op]}`;
    return step.kind[op] === step.fused ? `${own} & ${step.other_micro_batch[op]}` : own;
  }

  /** The marked operation, and the others of its micro-batch: its way through the pipeline. */
  drawMarks(view, picked) {
    const { context: c, step, dpr, left, width } = this, micro = step.micro_batch[picked];
    c.strokeStyle = this.colours.text;
    for (let rank = 0; rank < this.ranks; rank++) {
      const last = step.first[rank + 1];
      for (let op = firstAfter(step, rank, view.from); op < last && step.start[op] < view.to; op++) {
        if (step.micro_batch[op] !== micro) continue;
        const x0 = Math.max(left, this.xOf(step.start[op], view));
        const x1 = Math.min(left + width, this.xOf(step.end[op], view));
        c.lineWidth = (op === picked ? 2 : 1) * dpr;
        c.strokeRect(x0, this.rowTop(rank), Math.max(x1 - x0, 2 * dpr), this.bar);
      }
    }
  }
}

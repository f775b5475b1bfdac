"use strict";

/* Points of a plane on a canvas: zoom, pan, hover, click, lasso. Knows nothing about songs. */
class SongMap {
  /* points: Float32Array (2 n) within 0..1; on: {hover(row, x, y), pick(row), lasso(rows)}. */
  constructor(canvas, points, on) {
    Object.assign(this, { canvas, points, on, n: points.length / 2 });
    this.context = canvas.getContext("2d");
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.lassoing = false;
    this.lasso = [];
    this.pointers = new Map();
    this.look = { palette: ["#888"], codes: new Uint8Array(this.n), dimmed: new Uint8Array(this.n) };
    this.marks = { query: [], nearest: [], hover: -1 };
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.up(event));
    }
    canvas.addEventListener("pointerleave", () => this.on.hover(-1, 0, 0));
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.resize();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this, { width, height, ratio });
    this.stretched = this.stretch();
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.draw();
  }

  get scale() {
    return 0.92 * Math.min(this.width, this.height) * this.view.zoom;
  }

  /* Pixels of a point: the longer side of the canvas stretches the map by a half at most. */
  place(row) {
    const [wide, high] = this.stretched;
    return [
      this.width / 2 + (this.points[2 * row] - this.view.x) * this.scale * wide,
      this.height / 2 + (this.points[2 * row + 1] - this.view.y) * this.scale * high,
    ];
  }

  stretch() {
    const ratio = this.width / Math.max(1, this.height);
    return [Math.min(1.5, Math.max(1, ratio)), Math.min(1.5, Math.max(1, 1 / ratio))];
  }

  radius() {
    const size = 0.28 * Math.sqrt((this.width * this.height) / Math.max(1, this.n)) / 2;
    return Math.min(7, Math.max(1.8, size)) * Math.min(2, Math.sqrt(this.view.zoom));
  }

  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    const zoom = Math.min(60, Math.max(0.6, this.view.zoom * factor));
    const [wide, high] = this.stretch();
    const before = [(x - this.width / 2) / wide / this.scale, (y - this.height / 2) / high / this.scale];
    const change = this.view.zoom / zoom;
    this.view.x += before[0] * (1 - change);
    this.view.y += before[1] * (1 - change);
    this.view.zoom = zoom;
    this.draw();
  }

  panBy(dx, dy) {
    const [wide, high] = this.stretch();
    this.view.x -= dx / wide / this.scale;
    this.view.y -= dy / high / this.scale;
    this.draw();
  }

  reset() {
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.draw();
  }

  /* The row nearest to a place, or -1. */
  at(x, y) {
    let best = -1;
    let least = Math.max(10, this.radius() + 4) ** 2;
    for (let row = 0; row < this.n; row++) {
      const [px, py] = this.place(row);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  }

  wheel(event) {
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.moved = 0;
    this.lasso = this.lassoing || event.shiftKey ? [[event.offsetX, event.offsetY]] : [];
  }

  move(event) {
    const { offsetX: x, offsetY: y } = event;
    const last = this.pointers.get(event.pointerId);
    if (!last) {
      this.on.hover(this.at(x, y), x, y);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, [x, y]);
    this.moved += Math.hypot(x - last[0], y - last[1]);
    if (others.length) {
      const [ox, oy] = others[0][1];
      const grown = Math.hypot(x - ox, y - oy) / Math.max(1, Math.hypot(last[0] - ox, last[1] - oy));
      this.zoomBy(grown, (x + ox) / 2, (y + oy) / 2);
    } else if (this.lasso.length) {
      this.lasso.push([x, y]);
      this.draw();
    } else if (this.moved > 3) {
      this.panBy(x - last[0], y - last[1]);
    }
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const lasso = this.lasso;
    this.lasso = [];
    if (this.moved <= 3 && event.type === "pointerup") {
      const row = this.at(event.offsetX, event.offsetY);
      if (row >= 0) this.on.pick(row);
    } else if (lasso.length > 2) {
      const rows = [];
      for (let row = 0; row < this.n; row++) {
        if (!this.look.dimmed[row] && inside(lasso, ...this.place(row))) rows.push(row);
      }
      this.on.lasso(rows);
    }
    this.draw();
  }

  key(event) {
    const step = 60;
    const actions = {
      "+": () => this.zoomBy(1.4),
      "=": () => this.zoomBy(1.4),
      "-": () => this.zoomBy(1 / 1.4),
      0: () => this.reset(),
      ArrowLeft: () => this.panBy(step, 0),
      ArrowRight: () => this.panBy(-step, 0),
      ArrowUp: () => this.panBy(0, step),
      ArrowDown: () => this.panBy(0, -step),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  paint() {
    const { context, look, marks } = this;
    const style = getComputedStyle(this.canvas);
    const [ink, paper, accent] = ["color", "backgroundColor", "outlineColor"].map((name) => style[name]);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const radius = this.radius();
    const side = Math.round(2 * radius);
    const groups = new Map();
    for (let row = 0; row < this.n; row++) {
      const [x, y] = this.place(row);
      if (x < -9 || y < -9 || x > this.width + 9 || y > this.height + 9) continue;
      const key = look.dimmed[row] ? -1 : look.codes[row];
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(x, y);
    }
    const round = [...groups.values()].reduce((sum, places) => sum + places.length / 2, 0) < 4000;
    for (const key of [...groups.keys()].sort((a, b) => a - b)) {
      context.globalAlpha = key < 0 ? 0.13 : 0.88;
      context.fillStyle = key < 0 ? ink : look.palette[key];
      const places = groups.get(key);
      context.beginPath();
      for (let i = 0; i < places.length; i += 2) {
        const [x, y] = [places[i], places[i + 1]];
        if (round) {
          context.moveTo(x + radius, y);
          context.arc(x, y, radius, 0, 2 * Math.PI);
        } else context.fillRect(Math.round(x - radius), Math.round(y - radius), side, side); // fast
      }
      if (round) context.fill();
    }
    context.globalAlpha = 1;
    const home = marks.query.map((row) => this.place(row));
    context.strokeStyle = ink;
    if (home.length === 1) {
      context.globalAlpha = 0.35;
      context.beginPath();
      for (const row of marks.nearest) {
        context.moveTo(...home[0]);
        context.lineTo(...this.place(row));
      }
      context.stroke();
      context.globalAlpha = 1;
    }
    marks.nearest.forEach((row) => this.ring(row, radius + 2, 1.5, ink, paper));
    if (marks.hover >= 0) this.ring(marks.hover, radius + 3, 2, ink, paper);
    marks.query.forEach((row) => this.ring(row, radius + 4, 3, accent, paper));
    if (this.lasso.length > 1) {
      context.beginPath();
      this.lasso.forEach(([x, y]) => context.lineTo(x, y));
      context.closePath();
      context.strokeStyle = accent;
      context.lineWidth = 1.5;
      context.stroke();
      context.globalAlpha = 0.12;
      context.fillStyle = accent;
      context.fill();
      context.globalAlpha = 1;
    }
  }

  ring(row, radius, width, colour, paper) {
    const { context } = this;
    const [x, y] = this.place(row);
    for (const [stroke, line] of [[paper, width + 2], [colour, width]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.strokeStyle = stroke;
      context.lineWidth = line;
      context.stroke();
    }
    context.lineWidth = 1;
  }
}

// A photo that is zoomed and moved, with a box and an object's axes drawn on it.

import { project } from "./geometry.js";

// Front, left and up of the object frame, as in catpose/visualize/axes.py.
const ARROWS = [
  { letter: "F", color: "#e63c14", direction: [0, -1, 0] },
  { letter: "L", color: "#009e73", direction: [1, 0, 0] },
  { letter: "U", color: "#286ef0", direction: [0, 0, 1] },
];
const MAX_ZOOM = 40; // CSS pixels of a photo's pixel, at most

export class Stage {
  constructor(element, image, marks) {
    Object.assign(this, { element, image, marks, size: [1, 1], zoom: 1, origin: [0, 0], fitted: true });
    new ResizeObserver(() => {
      if (this.fitted) this.fit();
      this.onchange?.();
    }).observe(element);
  }

  show(url, size) {
    // A photo; `size` in the pixels of its file.
    if (this.image.src) URL.revokeObjectURL(this.image.src);
    this.size = size;
    this.image.src = url;
    // The picture may be smaller than the file's: it is shown at the file's size.
    Object.assign(this.image.style, { width: `${size[0]}px`, height: `${size[1]}px` });
    this.image.hidden = false;
    this.fit();
  }

  clear() {
    this.image.hidden = true;
    this.image.removeAttribute("src");
  }

  fit() {
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    const margin = Math.min(24, width / 20);
    const zoom = Math.min((width - 2 * margin) / this.size[0], (height - 2 * margin) / this.size[1]);
    this.fitted = true;
    this.place(Math.max(zoom, 1e-3), [(width - zoom * this.size[0]) / 2, (height - zoom * this.size[1]) / 2]);
  }

  zoomBy(factor, point = [this.element.clientWidth / 2, this.element.clientHeight / 2]) {
    const zoom = Math.min(MAX_ZOOM, Math.max(0.02, this.zoom * factor));
    const ratio = zoom / this.zoom;
    this.fitted = false;
    this.place(zoom, point.map((x, i) => x - ratio * (x - this.origin[i])));
  }

  moveBy(dx, dy) {
    this.fitted = false;
    this.place(this.zoom, [this.origin[0] + dx, this.origin[1] + dy]);
  }

  place(zoom, origin) {
    Object.assign(this, { zoom, origin });
    this.image.style.transform = `translate(${origin[0]}px, ${origin[1]}px) scale(${zoom})`;
  }

  toScreen(box) {
    return box.map((x, i) => this.origin[i % 2] + this.zoom * x);
  }

  toPhoto(point) {
    return point.map((x, i) => (x - this.origin[i % 2]) / this.zoom);
  }

  pointOf(event) {
    const frame = this.element.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  draw({ box, rotation, center, dashed = false, handles = true }) {
    // `box` in the photo's pixels; axes of `rotation`, where there is one, from `center` on screen.
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.marks.width !== wide || this.marks.height !== high) {
      Object.assign(this.marks, { width: wide, height: high });
    }
    const context = this.marks.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (box) drawBox(context, this.toScreen(box), dashed, handles);
    if (rotation) {
      const edges = box ? this.toScreen(box) : this.toScreen([0, 0, ...this.size]);
      const length = Math.min(160, Math.max(36, 0.42 * Math.min(edges[2] - edges[0], edges[3] - edges[1])));
      drawAxes(context, rotation, center, length);
    }
  }
}

function drawBox(context, [x0, y0, x1, y1], dashed, handles) {
  for (const [color, width] of [["rgba(0,0,0,.65)", 3.5], ["#fff", 1.5]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dashed ? [7, 5] : []);
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  context.setLineDash([]);
  if (!handles) return;
  for (const x of [x0, (x0 + x1) / 2, x1]) {
    for (const y of [y0, (y0 + y1) / 2, y1]) {
      if (x === (x0 + x1) / 2 && y === (y0 + y1) / 2) continue;
      context.fillStyle = "#fff";
      context.strokeStyle = "rgba(0,0,0,.65)";
      context.lineWidth = 1;
      context.fillRect(x - 4, y - 4, 8, 8);
      context.strokeRect(x - 4, y - 4, 8, 8);
    }
  }
}

export function drawAxes(context, rotation, center, length) {
  // The arrows of the object's front, left side and up; the nearest to the viewer last.
  const arrows = ARROWS.map((arrow) => {
    const [x, y, z] = arrow.direction;
    const depth = rotation[6] * x + rotation[7] * y + rotation[8] * z;
    const [right, down] = project(rotation, x, y, z);
    return { ...arrow, depth, end: [center[0] + length * right, center[1] + length * down] };
  }).sort((a, b) => a.depth - b.depth);
  context.lineCap = context.lineJoin = "round";
  for (const { letter, color, end } of arrows) {
    const [dx, dy] = [end[0] - center[0], end[1] - center[1]];
    const reach = Math.hypot(dx, dy);
    const head = Math.min(13, reach / 2);
    const [ux, uy] = reach > 1 ? [dx / reach, dy / reach] : [0, 0];
    for (const [paint, width] of [["#fff", 6.5], [color, 3.5]]) {
      context.strokeStyle = context.fillStyle = paint;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...center);
      context.lineTo(end[0] - head * ux * 0.6, end[1] - head * uy * 0.6);
      context.stroke();
      context.beginPath();
      context.moveTo(...end);
      context.lineTo(end[0] - head * (ux + 0.5 * uy), end[1] - head * (uy - 0.5 * ux));
      context.lineTo(end[0] - head * (ux - 0.5 * uy), end[1] - head * (uy + 0.5 * ux));
      context.closePath();
      if (paint === "#fff") context.stroke();
      else context.fill();
    }
    context.font = "600 14px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const [x, y] = [end[0] + 13 * ux, end[1] + 13 * uy];
    context.lineWidth = 4;
    context.strokeStyle = "#fff";
    context.strokeText(letter, x, y);
    context.fillStyle = color;
    context.fillText(letter, x, y);
  }
}

// A 3D model over a photo: flat triangles, shaded, with an outline, in WebGL.

const VERTEX = `
attribute vec3 position, normal, color;
uniform mat3 turn;
uniform vec2 focal, center, size, shift;
uniform float behind;
varying vec3 shade;
void main() {
  vec3 seen = turn * position;
  float depth = 1.0 - seen.z / 5.0;  // over that of the origin
  vec2 pixel = center * depth + focal * vec2(seen.x, -seen.y) + shift * depth;
  gl_Position = vec4(
    2.0 * pixel.x / size.x - depth, depth - 2.0 * pixel.y / size.y,
    behind > 0.0 ? (0.9 + 0.04 * behind) * depth : 4.0 * depth - 4.0, depth);
  vec3 light = normalize(vec3(-0.4, 0.6, 0.7));
  shade = color * (0.5 + 0.6 * max(0.0, dot(turn * normal, light)));
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 shade;
uniform vec4 paint;  // its alpha tells how much of it
uniform float opacity;
void main() {
  gl_FragColor = vec4(mix(shade, paint.rgb, paint.a) * opacity, opacity);
}`;
const RIM = [1, 0.86, 0, 1];
const CASING = [0, 0, 0, 1];

export class ModelView {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl", { antialias: true, premultipliedAlpha: true });
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.prepare();
      if (this.triangles) this.load(this.triangles);
    });
    if (this.gl) this.prepare();
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    ["position", "normal", "color"].forEach((name, i) => {
      const place = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 36, 12 * i);
    });
    const places = {};
    this.uniform = (name) => (places[name] ??= gl.getUniformLocation(program, name));
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE); // as catpose's renderer: nothing is seen from behind
  }

  load(triangles) {
    // `triangles`: of each, three corners and a color; see pages/models.py.
    this.triangles = triangles;
    this.count = triangles.length / 4;
    this.corners = new Float32Array(triangles.length * 0.75);
    const data = new Float32Array(this.count * 9);
    for (let t = 0; t < triangles.length; t += 12) {
      const [ax, ay, az, bx, by, bz, cx, cy, cz, red, green, blue] = triangles.subarray(t, t + 12);
      const [ux, uy, uz, vx, vy, vz] = [bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az];
      const normal = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
      const length = Math.hypot(...normal) || 1;
      for (let i = 0; i < 3; i++) {
        const corner = triangles.subarray(t + 3 * i, t + 3 * i + 3);
        const vertex = t / 4 + i;
        this.corners.set(corner, 3 * vertex);
        data.set(corner, 9 * vertex);
        data.set(normal.map((x) => x / length), 9 * vertex + 3);
        data.set([red, green, blue], 9 * vertex + 6);
      }
    }
    if (this.gl) this.gl.bufferData(this.gl.ARRAY_BUFFER, data, this.gl.STATIC_DRAW);
  }

  draw(rotation, placed, { opacity = 1, outline = true, moving = false } = {}) {
    // `placed` as `placement` of geometry.js gives it, in CSS pixels of the canvas; null clears.
    // While it is `moving`, a coarser outline is drawn, so that it follows the hand.
    const gl = this.gl;
    if (!gl) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      Object.assign(this.canvas, { width: wide, height: high });
    }
    gl.viewport(0, 0, wide, high);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!placed || !this.count) return;
    const r = rotation;
    gl.uniformMatrix3fv(this.uniform("turn"), false, [r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]]);
    gl.uniform2fv(this.uniform("focal"), placed.focal);
    gl.uniform2fv(this.uniform("center"), placed.center);
    gl.uniform2f(this.uniform("size"), width, height);
    const pass = (paint, alpha, shift, behind) => {
      gl.uniform1f(this.uniform("behind"), behind);
      gl.uniform4fv(this.uniform("paint"), paint);
      gl.uniform1f(this.uniform("opacity"), alpha);
      gl.uniform2fv(this.uniform("shift"), shift);
      gl.drawArrays(gl.TRIANGLES, 0, this.count);
    };
    pass([0, 0, 0, 0], opacity, [0, 0], 0);
    // The outline is the model moved about, behind itself: what it covers is never painted.
    const turns = moving ? 4 : 8;
    for (const [paint, reach, behind] of outline ? [[RIM, 2, 1], [CASING, 3, 2]].slice(0, moving ? 1 : 2) : []) {
      for (let i = 0; i < turns; i++) {
        const angle = ((2 * i + 1) * Math.PI) / turns;
        pass(paint, 1, [reach * Math.cos(angle), reach * Math.sin(angle)], behind);
      }
    }
  }
}

// A 3D model over a photo: flat triangles, shaded, with an outline, in WebGL.

// One call draws the model (instance 0) and what its outline is made of: the model inflated by some
// pixels, behind itself, so that what it covers is never painted.
const VERTEX = `#version 300 es
in vec3 position, outwards, color;
uniform mat3 turn;
uniform vec2 focal, center, size;
out vec3 seen, tint;
flat out int layer;
void main() {
  layer = gl_InstanceID;
  tint = color;
  seen = turn * position;
  float depth = 1.0 - seen.z / 5.0;  // over that of the origin
  vec2 pixel = center * depth + focal * vec2(seen.x, -seen.y);
  vec2 away = (turn * outwards).xy;
  if (layer > 0) pixel += float(layer + 1) * depth * vec2(away.x, -away.y) / max(length(away), 1e-6);
  gl_Position = vec4(
    2.0 * pixel.x / size.x - depth, depth - 2.0 * pixel.y / size.y,
    layer > 0 ? (0.9 + 0.04 * float(layer)) * depth : 4.0 * depth - 4.0, depth);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 seen, tint;
flat in int layer;
uniform float opacity;
out vec4 paint;
const vec3 LIGHT = normalize(vec3(-0.4, 0.6, 0.7));
void main() {
  vec3 normal = normalize(cross(dFdx(seen), dFdy(seen)));  // of the flat triangle
  vec3 shade = tint * (0.5 + 0.6 * max(0.0, dot(normal, LIGHT)));
  if (layer == 0) paint = vec4(shade * opacity, opacity);
  else paint = layer == 1 ? vec4(1.0, 0.86, 0.0, 1.0) : vec4(0.0, 0.0, 0.0, 1.0);
}`;
const ATTRIBUTES = ["position", "outwards", "color"]; // three numbers each
const REST = 150; // ms after which a model that no longer turns is drawn finely
const FINE = 2; // samples of a CSS pixel's side, at least, then

export class ModelView {
  constructor(canvas) {
    this.canvas = canvas;
    // Without a graphics card four samples a pixel take four times as long; see `paint`.
    this.gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.prepare();
      if (this.model) this.load(this.model);
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
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    ATTRIBUTES.forEach((name, i) => {
      const place = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 12 * ATTRIBUTES.length, 12 * i);
    });
    const names = ["turn", "focal", "center", "size", "opacity"];
    this.places = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE); // as catpose's renderer: nothing is seen from behind
  }

  load(model) {
    // {vertices, indices}, see models.js.
    this.model = model;
    this.drawn = "";
    const size = 3 * ATTRIBUTES.length;
    this.corners = new Float32Array((3 * model.vertices.length) / size);
    for (let i = 0; i < this.corners.length; i += 3) {
      this.corners.set(model.vertices.subarray(size * (i / 3), size * (i / 3) + 3), i);
    }
    if (!this.gl) return;
    this.gl.bufferData(this.gl.ARRAY_BUFFER, model.vertices, this.gl.STATIC_DRAW);
    this.gl.bufferData(this.gl.ELEMENT_ARRAY_BUFFER, model.indices, this.gl.STATIC_DRAW);
  }

  draw(rotation, placed, { opacity = 1, outline = true } = {}) {
    // `placed` as `placement` of geometry.js gives it, in CSS pixels of the canvas; null clears.
    // At once with one sample a pixel, so that it follows the hand, and finely when it rests.
    if (!this.gl) return;
    const size = [this.canvas.clientWidth, this.canvas.clientHeight];
    const what = JSON.stringify([rotation, placed, opacity, outline, size]);
    if (what === this.drawn) return;
    this.drawn = what;
    this.paint(1, rotation, placed, opacity, outline ? 2 : 1);
    clearTimeout(this.timer);
    const ratio = Math.max(FINE, window.devicePixelRatio || 1);
    this.timer = setTimeout(
      () => requestAnimationFrame(() => {
        if (what === this.drawn) this.paint(ratio, rotation, placed, opacity, outline ? 3 : 1);
      }),
      REST,
    );
  }

  paint(ratio, rotation, placed, opacity, layers) {
    const gl = this.gl;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      Object.assign(this.canvas, { width: wide, height: high });
    }
    gl.viewport(0, 0, wide, high);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!placed || !this.model) return;
    gl.uniformMatrix3fv(this.places.turn, true, rotation);
    gl.uniform2fv(this.places.focal, placed.focal);
    gl.uniform2fv(this.places.center, placed.center);
    gl.uniform2f(this.places.size, width, height);
    gl.uniform1f(this.places.opacity, opacity);
    gl.drawElementsInstanced(gl.TRIANGLES, this.model.indices.length, gl.UNSIGNED_INT, 0, layers);
  }
}

// Viewpoints and rotations, as in catpose/geometry/viewpoint.py and docs/conventions.md.
//
// Angles are [azimuth, elevation, theta] in degrees. Rotations are object to camera in the frame
// "camera" (x right, y up, z towards the viewer), nine numbers row by row:
//   Rz(theta) Rx(elevation - 90) Rz(-azimuth)

const DEGREE = Math.PI / 180;
const EYE = 5; // distance of the eye, in half diagonals of the model, as in visualize/overlay.py

export function wrap(degrees, low = -180) {
  // Into [low, low + 360).
  const rest = (degrees - low) % 360;
  return low + (rest < 0 ? rest + 360 : rest);
}

export function normalized([azimuth, elevation, theta]) {
  // The same viewpoint with azimuth in [0, 360), elevation in [-90, 90] and theta in (-180, 180].
  let e = wrap(elevation);
  let a = azimuth;
  let t = theta;
  if (Math.abs(e) > 90) {
    // Over the pole: from the other side, and upside down.
    e = (e > 0 ? 180 : -180) - e;
    a += 180;
    t += 180;
  }
  a = wrap(a, 0);
  t = wrap(t);
  return [a === 360 ? 0 : a, e, t === -180 ? 180 : t];
}

export function rotationFromAngles([azimuth, elevation, theta]) {
  const [ca, sa] = [Math.cos(azimuth * DEGREE), Math.sin(azimuth * DEGREE)];
  const [ce, se] = [Math.cos(elevation * DEGREE), Math.sin(elevation * DEGREE)];
  const [ct, st] = [Math.cos(theta * DEGREE), Math.sin(theta * DEGREE)];
  return [
    ct * ca + st * se * sa, ct * sa - st * se * ca, -st * ce,
    st * ca - ct * se * sa, st * sa + ct * se * ca, ct * ce,
    ce * sa, -ce * ca, se,
  ];
}

export function anglesFromRotation(r) {
  // At elevation +-90, where azimuth and theta are the same turn, theta is 0.
  const size = Math.hypot(r[6], r[7]);
  const singular = size < 1e-9;
  const g = singular ? Math.atan2(-r[1], r[0]) : Math.atan2(-r[6], -r[7]);
  const [cos, sin] = [Math.cos(g), Math.sin(g)];
  const theta = singular ? 0 : Math.atan2(r[3] * cos - r[4] * sin, r[0] * cos - r[1] * sin);
  return normalized([-g / DEGREE, Math.atan2(r[8], size) / DEGREE, theta / DEGREE]);
}

export function distance(a, b) {
  // The geodesic distance of two rotations in degrees; exact also near 0 and 180.
  let square = 0;
  let trace = 0;
  for (let i = 0; i < 9; i++) {
    square += (a[i] - b[i]) ** 2;
    trace += a[i] * b[i];
  }
  return (2 * Math.atan2(Math.sqrt(square / 8), Math.sqrt(Math.max(0, 1 + trace) / 4))) / DEGREE;
}

export function between(a, b, share) {
  // The rotation on the shortest way from a to b: a at share 0, b at 1.
  const turn = product(b, [a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]]); // leads from a to b
  const angle = distance(a, b) * DEGREE;
  let axis = [turn[7] - turn[5], turn[2] - turn[6], turn[3] - turn[1]];
  if (Math.hypot(...axis) < 1e-6) {
    if (angle < 1) return [...b];
    // By half a circle: the axis is the longest column of turn + 1.
    const best = [0, 1, 2].reduce((i, j) => (turn[4 * j] > turn[4 * i] ? j : i));
    axis = [0, 1, 2].map((i) => turn[3 * i + best] + (i === best ? 1 : 0));
  }
  const length = Math.hypot(...axis);
  const [x, y, z] = axis.map((value) => value / length);
  const [c, s] = [Math.cos(share * angle), Math.sin(share * angle)];
  const d = 1 - c;
  return product([
    c + x * x * d, x * y * d - z * s, x * z * d + y * s,
    x * y * d + z * s, c + y * y * d, y * z * d - x * s,
    x * z * d - y * s, y * z * d + x * s, c + z * z * d,
  ], a);
}

function product(a, b) {
  return Array.from(a, (_, n) => {
    const [i, j] = [3 * Math.floor(n / 3), n % 3];
    return a[i] * b[j] + a[i + 1] * b[3 + j] + a[i + 2] * b[6 + j];
  });
}

export function mirrored([azimuth, elevation, theta]) {
  // The object in the left-right mirrored picture.
  return normalized([-azimuth, elevation, -theta]);
}

export function reversed([azimuth, elevation, theta]) {
  // The object turned by half a circle about its own z axis: front and rear change places.
  return normalized([azimuth + 180, elevation, theta]);
}

export function dragged([azimuth, elevation, theta], dx, dy, radius) {
  // What a drag by (dx, dy) pixels, y downwards, turns: the side that faces the viewer follows the
  // hand, over a ball of this radius. The object turns about its own z axis and the camera rises;
  // in a tilted picture the hand is read along the tilted axes. Elevation ends at +-90.
  const [cos, sin] = [Math.cos(theta * DEGREE), Math.sin(theta * DEGREE)];
  const right = cos * dx - sin * dy;
  const down = sin * dx + cos * dy;
  const e = Math.min(90, Math.max(-90, elevation + down / radius / DEGREE));
  return normalized([azimuth - right / radius / DEGREE, e, theta]);
}

export function tilted([azimuth, elevation, theta], from, to) {
  // What a drag around the origin turns in the picture; points are [x right, y down].
  const turn = Math.atan2(-to[1], to[0]) - Math.atan2(-from[1], from[0]);
  return normalized([azimuth, elevation, theta + turn / DEGREE]);
}

export function project(rotation, x, y, z) {
  // Where the eye sees a point of the model: right and down, in half diagonals at the origin.
  const depth = 1 - (rotation[6] * x + rotation[7] * y + rotation[8] * z) / EYE;
  return [
    (rotation[0] * x + rotation[1] * y + rotation[2] * z) / depth,
    -(rotation[3] * x + rotation[4] * y + rotation[5] * z) / depth,
  ];
}

export function extent(rotation, corners) {
  // The box [x0, y0, x1, y1] around all corners (x, y, z, x, y, z, ...), projected as by `project`.
  const [r0, r1, r2, r3, r4, r5, r6, r7, r8] = rotation;
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < corners.length; i += 3) {
    const [a, b, c] = [corners[i], corners[i + 1], corners[i + 2]];
    const depth = 1 - (r6 * a + r7 * b + r8 * c) / EYE;
    const x = (r0 * a + r1 * b + r2 * c) / depth;
    const y = -(r3 * a + r4 * b + r5 * c) / depth;
    if (x < x0) x0 = x;
    if (x > x1) x1 = x;
    if (y < y0) y0 = y;
    if (y > y1) y1 = y;
  }
  return [x0, y0, x1, y1];
}

export function placement(rotation, corners, box, stretch = false) {
  // How a model fills a box: {focal: [x, y], center: [x, y]}, so that `project` times focal plus
  // center are pixels. The model keeps its proportions unless it is stretched to the box.
  const [x0, y0, x1, y1] = extent(rotation, corners);
  let focal = [(box[2] - box[0]) / (x1 - x0), (box[3] - box[1]) / (y1 - y0)];
  if (!stretch) focal = [Math.min(...focal), Math.min(...focal)];
  return {
    focal,
    center: [
      (box[0] + box[2]) / 2 - (focal[0] * (x0 + x1)) / 2,
      (box[1] + box[3]) / 2 - (focal[1] * (y0 + y1)) / 2,
    ],
  };
}

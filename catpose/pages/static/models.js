// 3D models by name: "car", "car/sedan", or of one's own "mug/blue".

import { bytes } from "./server.js";

const kept = new Map();

export function model(name) {
  // {vertices, indices} of a model, see pages/models.py: of each vertex its place, a direction
  // outwards and a color, of each triangle its three vertices; kept.
  if (!kept.has(name)) {
    const found = bytes("model", { name }).then(parsed);
    found.catch(() => kept.delete(name));
    kept.set(name, found);
  }
  return kept.get(name);
}

function parsed(buffer) {
  const [count] = new Uint32Array(buffer, 0, 1);
  return { vertices: new Float32Array(buffer, 4, 9 * count), indices: new Uint32Array(buffer, 4 + 36 * count) };
}

export function modelOf(category, names) {
  // The name of a category's model: one's own come first; a block where there is none.
  return names.find((name) => name.split("/")[0] === category)
    ?? names.find((name) => name.endsWith(`/${category}`))
    ?? "block";
}

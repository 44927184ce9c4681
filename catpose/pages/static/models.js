// 3D models by name: "car", "car/sedan", or of one's own "mug/blue".

import { numbers } from "./server.js";

const kept = new Map();

export function model(name) {
  // The triangles of a model: Float32Array of three corners and a color each; kept.
  if (!kept.has(name)) {
    const found = numbers("model", { name });
    found.catch(() => kept.delete(name));
    kept.set(name, found);
  }
  return kept.get(name);
}

export function modelOf(category, names) {
  // The name of a category's model: one's own come first; a block where there is none.
  return names.find((name) => name.split("/")[0] === category)
    ?? names.find((name) => name.endsWith(`/${category}`))
    ?? "block";
}

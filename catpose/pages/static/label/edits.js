// Changes of the chosen object: each can be undone, and is saved at once.

import { normalized } from "../geometry.js";
import { status } from "../page.js";
import { Saver } from "./saver.js";
import { refresh } from "./scene.js";
import { isSkipped, object, state } from "./state.js";

export const FRONTAL = [30, 15, 0]; // where nobody has proposed a pose
const MOST = 200; // changes that can be undone
const undone = []; // {file, objects, chosen} before each change

export const saver = new Saver({ photoOf: (file) => state.photos.get(file), report: status });

export function begin() {
  const { file, objects } = state.current;
  undone.push({ file, objects: structuredClone(objects), chosen: state.chosen });
  if (undone.length > MOST) undone.shift();
}

export function edit(values) {
  // Changes the chosen object; a proposal becomes the person's own.
  Object.assign(object(), values, { local: false });
  refresh();
}

export function end() {
  saver.save(state.current.file);
  refresh();
}

export function endOrForget() {
  // After a gesture that may have changed nothing: whether it did.
  const changed = JSON.stringify(undone.at(-1).objects) !== JSON.stringify(state.current.objects);
  if (changed) end();
  else undone.pop();
  refresh();
  return changed;
}

export function change(values) {
  if (!object()) return;
  begin();
  edit(values);
  end();
}

export const canUndo = () => undone.length > 0;

export function takeBack() {
  // The photo's state before the last change: {file, chosen}, or nothing.
  const last = undone.pop();
  if (!last) return null;
  state.photos.get(last.file).objects = last.objects;
  saver.save(last.file);
  return last;
}

export function turn(turned) {
  // `turned`: from angles to angles.
  if (isSkipped()) return;
  const each = object();
  const kind = each.state === "no pose" ? "draft" : each.state;
  edit({ angles_deg: turned(each.angles_deg ?? FRONTAL), state: kind, proposed: false });
}

export function turnOnce(turned) {
  if (isSkipped()) return;
  begin();
  turn(turned);
  end();
}

export const byAngle = (i, step) => (angles) => {
  const next = [...angles];
  next[i] += step;
  if (i === 1) next[1] = Math.max(-90, Math.min(90, next[1]));
  return normalized(next);
};

export const toAngle = (i, value) => (angles) => normalized(angles.map((x, j) => (i === j ? value : x)));

// What a person decides of objects and photos: done, no pose, skipped, another object, undo.

import { message, part } from "../page.js";
import { begin, change, end, takeBack } from "./edits.js";
import { choose, next, open, step } from "./photos.js";
import { propose } from "./proposals.js";
import { refresh } from "./scene.js";
import { blank, isSkipped, object, state } from "./state.js";

export function done() {
  if (isSkipped()) return;
  if (!object().category) {
    message("What is it? Give the category.");
    part("category").focus();
    return;
  }
  if (!object().angles_deg) {
    message("Turn the model first, or say that no pose is visible.");
    return;
  }
  change({ state: "labeled", proposed: false, guessed: false });
  next();
}

export function noPose() {
  if (!object()) return;
  change({ state: "no pose", angles_deg: null });
  next();
}

export function skip() {
  if (!state.current) return;
  begin();
  const kept = state.current.objects.filter((each) => each.state === "labeled" || each.state === "no pose");
  state.current.objects = kept.length ? kept : [{ ...blank(), state: "skipped", local: false }];
  state.chosen = 0;
  end();
  step(1, true);
}

export function undo() {
  const last = takeBack();
  if (!last) return;
  if (state.current.file === last.file) choose(Math.min(last.chosen, state.current.objects.length - 1));
  else open(last.file);
  refresh();
}

export function addObject() {
  begin();
  const category = object()?.category ?? "";
  state.current.objects = state.current.objects.filter((each) => each.state !== "skipped");
  state.current.objects.push(blank(category));
  choose(state.current.objects.length - 1);
  state.drawing = true;
  message("Drag a box around the object.", true);
}

export function removeObject() {
  begin();
  state.current.objects.splice(state.chosen, 1);
  choose(Math.max(0, state.chosen - 1));
  end();
}

export function toggleDrawing() {
  if (!object()) return;
  state.drawing = !state.drawing;
  refresh();
}

export function wholeBox() {
  change({ box: null });
  propose();
}

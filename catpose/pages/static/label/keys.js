// Keys and buttons, and what they do.

import { mirrored, reversed } from "../geometry.js";
import { part } from "../page.js";
import { done, noPose, skip, toggleDrawing, undo, wholeBox } from "./decisions.js";
import { byAngle, turnOnce } from "./edits.js";
import { step } from "./photos.js";
import { snap, take, takeProposal } from "./proposals.js";
import { refresh, resetView, stage, zoomBy } from "./scene.js";

const zoomIn = () => zoomBy(1.25);
const zoomOut = () => zoomBy(0.8);
const mirror = () => turnOnce(mirrored);
const reverse = () => turnOnce(reversed);
const previous = () => step(-1);
const following = () => step(1);

function fit() {
  resetView();
  stage.fit();
  refresh();
}

// Each gets the degrees of a step.
const KEYS = {
  ArrowLeft: (degrees) => turnOnce(byAngle(0, degrees)),
  ArrowRight: (degrees) => turnOnce(byAngle(0, -degrees)),
  ArrowUp: (degrees) => turnOnce(byAngle(1, -degrees)),
  ArrowDown: (degrees) => turnOnce(byAngle(1, degrees)),
  ",": () => turnOnce(byAngle(2, 5)),
  ".": () => turnOnce(byAngle(2, -5)),
  "<": () => turnOnce(byAngle(2, 1)),
  ">": () => turnOnce(byAngle(2, -1)),
  m: mirror, f: reverse, p: takeProposal, s: snap,
  b: toggleDrawing, w: wholeBox,
  n: noPose, k: skip, z: undo, Enter: done,
  "+": zoomIn, "=": zoomIn, "-": zoomOut, 0: fit,
  "[": previous, "]": following,
};

const BUTTONS = {
  done, skip, undo, snap, mirror, reverse, previous,
  "next": following, "no-pose": noPose, "draw-box": toggleDrawing, "whole-box": wholeBox,
  "zoom-in": zoomIn, "zoom-out": zoomOut, "zoom-fit": fit,
};

function pressed(event) {
  const kind = event.target.tagName;
  const typing = kind === "INPUT" && !["checkbox", "range"].includes(event.target.type);
  if (typing && event.key === "Enter") part("stage").focus(); // it is entered; the next one is Done
  if (typing || kind === "SELECT" || event.altKey) return;
  if (event.key === "Enter" && (kind === "BUTTON" || kind === "SUMMARY")) return;
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((event.ctrlKey || event.metaKey) && key !== "z") return;
  if (/^[1-9]$/.test(key)) take(Number(key));
  else if (KEYS[key]) KEYS[key](event.shiftKey ? 1 : 5);
  else return;
  event.preventDefault();
}

export function startKeys() {
  document.addEventListener("keydown", pressed);
  for (const [id, act] of Object.entries(BUTTONS)) part(id).addEventListener("click", () => act());
}

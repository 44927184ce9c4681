// What is seen of the chosen object: its box, its axes, and a 3D model over the photo.

import { placement, rotationFromAngles } from "../geometry.js";
import { ModelView } from "../model_view.js";
import { model, modelOf } from "../models.js";
import { message, part } from "../page.js";
import { Stage } from "../stage.js";
import { object, state } from "./state.js";

export const stage = new Stage(part("stage"), part("photo"), part("marks"));
const view = new ModelView(part("model"));
const models = new Map(); // category -> the model that the person chose
const own = { scale: 1, shift: [0, 0] }; // of the model over its box: for the eyes alone, not kept
let moving = false; // a hand is on the photo
let panels = () => {};

export const canDraw = Boolean(view.gl);

export function showPanelsWith(show) {
  // `show(moving)` follows each drawing.
  panels = show;
}

let asked = false;
export function refresh() {
  // Once for each frame, however many changes came.
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
    panels(moving);
  });
}
stage.onchange = refresh;

export function setMoving(is) {
  moving = is;
  refresh();
}

export function resetView() {
  Object.assign(own, { scale: 1, shift: [0, 0] });
}

export function scaleModel(factor) {
  own.scale = Math.min(8, Math.max(0.1, own.scale * factor));
  refresh();
}

export function moveModel(dx, dy) {
  own.shift = [own.shift[0] + dx / stage.zoom, own.shift[1] + dy / stage.zoom];
  refresh();
}

export function zoomBy(factor, point) {
  stage.zoomBy(factor, point);
  refresh();
}

export const boxOf = (each) => each.box ?? [0, 0, ...stage.size];

export const edgesOnScreen = () => stage.toScreen(boxOf(object()));

export const middleOf = (box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

function placed(rotation) {
  const box = edgesOnScreen();
  const found = placement(rotation, view.corners, box, part("stretch").checked);
  const middle = middleOf(box);
  return {
    focal: found.focal.map((x) => x * own.scale),
    center: found.center.map((x, i) => middle[i] + own.scale * (x - middle[i]) + stage.zoom * own.shift[i]),
  };
}

function draw() {
  const each = object();
  if (!each || part("photo").hidden || each.state === "skipped") {
    view.draw(null, null);
    stage.draw({});
    return;
  }
  const rotation = each.state !== "no pose" && each.angles_deg && rotationFromAngles(each.angles_deg);
  const where = rotation && view.corners ? placed(rotation) : null;
  view.draw(rotation, where, {
    opacity: part("opacity").valueAsNumber,
    outline: part("outline").checked,
  });
  stage.draw({
    box: boxOf(each),
    rotation: part("axes").checked ? rotation : null,
    center: where ? where.center : middleOf(edgesOnScreen()),
    dashed: each.state !== "labeled",
  });
}

export function chooseModel(name) {
  // The person's own choice for the category.
  if (object()) models.set(object().category, name);
  load(name);
}

export function showModel() {
  // The model of the category, unless another one was chosen for it.
  const category = object()?.category ?? "";
  const name = models.get(category) ?? modelOf(category, state.session.models);
  part("models").value = name;
  load(name);
}

async function load(name) {
  try {
    const found = await model(name);
    if (part("models").value === name && view.model !== found) view.load(found);
  } catch (error) {
    message(error.message);
  }
  refresh();
}

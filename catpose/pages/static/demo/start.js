// The page that shows a network: a photo and a box in, category and pose out.

import { between, placement, rotationFromAngles } from "../geometry.js";
import { listen } from "../gestures.js";
import { ModelView } from "../model_view.js";
import { model, modelOf } from "../models.js";
import { copyable, message, part, status } from "../page.js";
import { bars, choices, poseText, shares } from "../panels.js";
import { drawMap } from "./density_map.js";
import { get, photo as openPhoto, post, upload } from "../server.js";
import { Stage } from "../stage.js";

const TURN = 700; // ms in which the model turns to a pose
const stage = new Stage(part("stage"), part("photo"), part("marks"));
const over = new ModelView(part("model"));
const alone = new ModelView(part("turning"));
const edges = [...document.querySelectorAll(".edge")];

let models = [];
let network = { name: "" };
let photo = null; // {id, name}
let box = null; // of the photo's pixels; null for the whole
let found = null; // what the network says
let pose = null; // the angles that are shown
let shown = null; // the rotation of this moment
let question = 0;

const whole = () => box ?? [0, 0, ...stage.size];

// ---- drawing

function draw() {
  const there = !part("photo").hidden;
  const edgesOnScreen = there ? stage.toScreen(whole()) : null;
  const middle = there && [(edgesOnScreen[0] + edgesOnScreen[2]) / 2, (edgesOnScreen[1] + edgesOnScreen[3]) / 2];
  const hasModel = shown && over.corners;
  const place = hasModel && part("overlay").checked ? placement(shown, over.corners, edgesOnScreen, true) : null;
  over.draw(shown, place, { opacity: 0.55 });
  stage.draw({
    box: there ? whole() : null,
    rotation: there && part("axes").checked ? shown : null,
    center: middle || [0, 0],
  });
  const [width, height] = [part("turning").clientWidth, part("turning").clientHeight];
  const frame = { focal: [0.49 * height, 0.49 * height], center: [width / 2, height / 2] };
  alone.draw(shown, hasModel ? frame : null, { outline: false });
  edges.forEach((input, i) => {
    input.disabled = !there;
    if (document.activeElement !== input) input.value = there ? Math.round(whole()[i]) : "";
  });
  part("whole").disabled = !there;
}
stage.onchange = draw;

function turnTo(angles) {
  // The model turns to the pose, unless the person wants no motion.
  pose = angles;
  const [from, to] = [shown ?? rotationFromAngles([0, 10, 0]), rotationFromAngles(angles)];
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const begin = performance.now();
  const mine = (turnTo.last = {});
  const frame = (now) => {
    if (turnTo.last !== mine) return;
    const share = calm ? 1 : Math.min(1, Math.max(0, (now - begin) / TURN));
    shown = between(from, to, share * share * (3 - 2 * share));
    draw();
    if (share < 1) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  ["azimuth", "elevation", "theta"].forEach((name, i) => (part(name).textContent = `${angles[i].toFixed(1)}°`));
}

function show() {
  const isNone = found.known !== null && found.known < 0.5;
  part("category").textContent = isNone ? "none of these" : found.category;
  bars(part("bars"), shares(found));
  const sure = found.pose_confidence ?? null;
  part("confidence").textContent = [
    sure === null ? "" : `The pose is right within ${found.within_deg}° with a probability of ${Math.round(100 * sure)} %.`,
    isNone ? `It looks like no category that the network knows; as a ${found.category} it would be turned so.` : "",
  ].filter(Boolean).join(" ");
  const poses = [angles(found), ...found.alternatives.map(angles)];
  const words = ["", ...found.alternatives.map((each) => `or ${each.category} `)];
  const chances = ["", ...found.alternatives.map((each) => `, ${Math.round(100 * each.probability)} %`)];
  choices(part("alternatives"), poses.length < 2 ? [] : poses.map((each, i) => ({
    text: words[i] + poseText(each) + chances[i],
    pressed: each.every((x, j) => Math.abs(x - pose?.[j]) < 1e-6),
    act: () => { turnTo(each); show(); },
  })));
  part("json").textContent = JSON.stringify({ image: photo.name, box: box?.map(round) ?? null, ...found }, null, 1);
  part("python").textContent = [
    "import catpose",
    "",
    `predictor = catpose.load(${JSON.stringify(network.name)})`,
    `found = predictor(${JSON.stringify(photo.name)}${box ? `, box=(${box.map(round).join(", ")})` : ""})`,
    "print(found.category, found.azimuth_deg, found.elevation_deg, found.theta_deg)",
  ].join("\n");
}

const angles = (each) => [each.azimuth_deg, each.elevation_deg, each.theta_deg];
const round = (x) => Math.round(10 * x) / 10;

// ---- questions

async function open(file) {
  const mine = ++question;
  if (!file) return;
  message("");
  status("reading the photo …");
  try {
    const { id } = await upload("photos", file);
    const picture = await openPhoto("photo", { id });
    if (mine !== question) return;
    photo = { id, name: file.name || "photo.jpg" };
    box = null;
    part("empty").hidden = true;
    part("photo").alt = `Photo ${photo.name}`;
    stage.show(picture.url, picture.size);
    await predict();
  } catch (error) {
    status("");
    message(error.message);
  }
  draw();
}

async function predict() {
  const mine = ++question;
  status(network.ready ? "looking …" : "the network is being loaded …");
  try {
    const values = { id: photo.id, box };
    const answer = await post("predict", values);
    if (mine !== question) return;
    found = answer;
    status("");
    message("");
    turnTo(angles(found));
    show();
    const shape = await model(modelOf(found.category, models));
    for (const view of [over, alone]) if (view.model !== shape) view.load(shape);
    draw();
    const { density } = await post("map", values);
    if (mine !== question) return;
    part("map-panel").hidden = !density;
    if (density) drawMap(part("map"), density, angles(found));
  } catch (error) {
    if (mine !== question) return;
    status("");
    message(error.message);
  }
}

// ---- hands

const clip = (edgesOfBox) => edgesOfBox.map((x, i) => Math.min(stage.size[i % 2], Math.max(0, x)));

function change(values) {
  const next = clip(values);
  if (next[2] - next[0] < 2 || next[3] - next[1] < 2) return false;
  box = next.every((x, i) => Math.abs(x - [0, 0, ...stage.size][i]) < 0.5) ? null : next;
  draw();
  return true;
}

let before;
listen(stage, {
  box: () => (photo ? stage.toScreen(whole()) : null),
  center: () => [0, 0],
  isDrawing: (held) => !held,
  begin: () => (before = JSON.stringify(box)),
  end: () => photo && before !== JSON.stringify(box) && predict(),
  resize: (held, dx, dy) => {
    const moves = [dx, dy, dx, dy];
    change(whole().map((x, i) => (held[i] ? x + moves[i] / stage.zoom : x)));
  },
  drawn: (onScreen) => photo && change(stage.toPhoto(onScreen)),
  scale: (factor) => { stage.zoomBy(factor); draw(); },
  zoom: (factor, point) => { stage.zoomBy(factor, point); draw(); },
  move: (dx, dy) => { stage.moveBy(dx, dy); draw(); },
  pan: (dx, dy) => { stage.moveBy(dx, dy); draw(); },
  tilt: () => {},
  turn: () => {},
});

edges.forEach((input) => input.addEventListener("change", () => {
  if (change(edges.map((each) => each.valueAsNumber || 0))) predict();
  else message("The box is smaller than two pixels.");
}));
part("whole").addEventListener("click", () => {
  box = null;
  stage.fit();
  draw();
  predict();
});
for (const id of ["overlay", "axes"]) part(id).addEventListener("input", draw);
for (const id of ["file", "camera"]) {
  part(id).addEventListener("change", () => {
    open(part(id).files[0]);
    part(id).value = ""; // the same photo can be chosen again
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  part("stage").classList.add("over");
});
document.addEventListener("dragleave", () => part("stage").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  part("stage").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
  else message("Drop the photo's file: a picture of another web page cannot be read from here.");
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (file) open(file);
});
for (const id of ["json", "python"]) copyable(part(`copy-${id}`), part(id));

async function start() {
  models = await get("models");
  draw();
  do {
    network = await get("network");
    if (network.error) message(network.error);
    if (!network.ready) await new Promise((wait) => setTimeout(wait, 400));
  } while (!network.ready && !network.error);
}

start().catch((error) => message(error.message));

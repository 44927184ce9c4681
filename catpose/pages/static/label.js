// The page for labeling: what is known of each photo, what the hand does to it, and when it is saved.

import { dragged, mirrored, normalized, placement, reversed, rotationFromAngles, tilted } from "./geometry.js";
import { Dials } from "./dials.js";
import { listen } from "./gestures.js";
import { bars, choices, poseText } from "./panels.js";
import { ModelView } from "./model_view.js";
import { Saver } from "./saver.js";
import { get, model, photo as openPhoto, post } from "./server.js";
import { Stage } from "./stage.js";
import { startTraining } from "./train_panel.js";

const FRONTAL = [30, 15, 0]; // where nobody has proposed a pose
const part = (id) => document.getElementById(id);
const copy = (value) => structuredClone(value);

const stage = new Stage(part("stage"), part("photo"), part("marks"));
const view = new ModelView(part("model"));
const saver = new Saver({ photoOf: (file) => photos.get(file), report: saved, replaced });

let session;
const photos = new Map(); // file -> {file, objects, revision}
let order = []; // files, as they are gone through
let current; // the photo that is open
let chosen = 0; // which of its objects
let proposal = null; // of the chosen object
let network = { ready: false, categories: [], has_density: false, error: "", name: "" };
let seen = { scale: 1, shift: [0, 0] }; // of the model over its box; not kept
let drawing = false;
let moving = false; // a hand is on the photo
const undone = []; // {file, objects, chosen} before each change
const unsure = new Map(); // file -> how sure the network is

const object = () => current?.objects[chosen];
const isOpen = (each) => !each.objects.length || each.objects.some((one) => one.state === "draft");

// ---- what is shown

function message(text, calm = false) {
  part("message").textContent = text;
  part("message").classList.toggle("calm", calm);
}

function saved(text, bad = false) {
  part("saved").textContent = text;
  part("saved").classList.toggle("bad", bad);
}

let asked = false;
function refresh() {
  // Once for each frame, however many changes came.
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    drawStage();
    if (moving) dials.show(object()?.angles_deg ?? null); // the rest waits for the hand's rest
    else showPanels();
  });
}
stage.onchange = refresh;

function boxOf(each) {
  return each.box ?? [0, 0, ...stage.size];
}

function placed(rotation) {
  const box = stage.toScreen(boxOf(object()));
  const found = placement(rotation, view.corners, box, part("stretch").checked);
  const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return {
    focal: found.focal.map((x) => x * seen.scale),
    center: found.center.map(
      (x, i) => middle[i] + seen.scale * (x - middle[i]) + stage.zoom * seen.shift[i],
    ),
  };
}

function drawStage() {
  const each = object();
  if (!each || part("photo").hidden || each.state === "skipped") {
    view.draw(null, null);
    stage.draw({});
    return;
  }
  const box = boxOf(each);
  const rotation = each.state !== "no pose" && each.angles_deg && rotationFromAngles(each.angles_deg);
  const where = rotation && view.corners ? placed(rotation) : null;
  view.draw(rotation, where, {
    opacity: part("opacity").valueAsNumber,
    outline: part("outline").checked,
    moving,
  });
  const edges = stage.toScreen(box);
  stage.draw({
    box,
    rotation: part("axes").checked ? rotation : null,
    center: where ? where.center : [(edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2],
    dashed: each.state !== "labeled",
  });
}

const WORDS = { labeled: "done", draft: "begun", "no pose": "no pose visible", skipped: "skipped" };

function showPanels() {
  const each = object();
  const list = [...photos.values()];
  const done = list.filter((one) => !isOpen(one)).length;
  const labeled = list.flatMap((one) => one.objects).filter((one) => one.state === "labeled").length;
  Object.assign(part("progress"), { value: done, max: list.length });
  part("counted").textContent = `${done} of ${list.length} photos done, ${labeled} objects labeled`;
  for (const option of part("photos").options) {
    const states = photos.get(option.value).objects.filter((one) => !one.local).map((one) => one.state);
    const mark = !states.length ? "" : states.includes("draft") ? "… " : states.includes("labeled") ? "✓ " : "– ";
    if (option.text !== mark + option.value) option.text = mark + option.value;
  }
  if (current) part("photos").value = current.file;
  const buttons = (current?.objects ?? []).map((one, i) => ({
    text: `${i + 1} ${one.category || "?"}, ${one.local ? "proposed" : WORDS[one.state]}`,
    pressed: i === chosen,
    act: () => choose(i),
  }));
  choices(part("objects"), [
    ...buttons,
    { text: "+ another", act: () => addObject(), label: "Another object in this photo" },
    ...(buttons.length > 1 ? [{ text: "Remove", act: removeObject }] : []),
  ]);
  const off = !each || each.state === "skipped" || part("photo").hidden;
  for (const id of ["category", "models", "draw-box", "whole-box", "symmetry", "mirror", "reverse", "done", "no-pose"]) {
    part(id).disabled = off;
  }
  part("skip").disabled = !current;
  part("undo").disabled = !undone.length;
  part("snap").disabled = off || !network.has_density;
  part("snap").title = network.has_density ? "S" : "the network says no density of poses";
  part("draw-box").setAttribute("aria-pressed", String(drawing));
  part("stage").classList.toggle("drawing", drawing);
  if (document.activeElement !== part("category")) part("category").value = each?.category ?? "";
  part("symmetry").value = each?.symmetry ?? "none";
  dials.show(off ? null : each.angles_deg);
  showProposal();
}

function showProposal() {
  const words = network.error || (network.ready ? "" : "is being loaded; labeling works meanwhile");
  part("network-state").textContent = words;
  part("network-state").hidden = !words;
  part("network").textContent = network.name || "the network";
  const found = proposal?.of === object() ? proposal : null;
  const shares = found ? Object.entries(found.probabilities) : [];
  if (found && found.known !== null) shares.push(["none of these", 1 - found.known]);
  bars(part("bars"), shares);
  choices(part("alternatives"), found ? poses().map((each, i) => ({
    text: `${i ? i : "P"}: ${poseText(each.angles_deg)}${each.share ? `, ${Math.round(100 * each.share)} %` : ""}`,
    act: () => take(i),
    label: `${i ? `Alternative ${i}` : "Proposal"}: ${poseText(each.angles_deg)}`,
  })) : []);
}

function poses() {
  // The network's pose and its alternatives; else what is confused most often: the rear, a mirror.
  const first = { angles_deg: proposal.angles_deg, share: proposal.pose_confidence };
  const guesses = [reversed, mirrored, (a) => reversed(mirrored(a))].map(
    (turn) => ({ angles_deg: turn(proposal.angles_deg) }),
  );
  return [first, ...(proposal.alternatives.length ? proposal.alternatives : guesses)];
}

// ---- changes

function begin() {
  undone.push({ file: current.file, objects: copy(current.objects), chosen });
  if (undone.length > 200) undone.shift();
}

function edit(values) {
  // Changes the chosen object; a proposal becomes the person's own.
  Object.assign(object(), values, { local: false });
  refresh();
}

function end() {
  saver.save(current.file);
  refresh();
}

function change(values) {
  if (!object()) return;
  begin();
  edit(values);
  end();
}

function turn(turned) {
  const each = object();
  if (!each || each.state === "skipped") return;
  const state = each.state === "no pose" ? "draft" : each.state;
  edit({ angles_deg: turned(each.angles_deg ?? FRONTAL), state, proposed: false });
}

function turnOnce(turned) {
  if (!object() || object().state === "skipped") return;
  begin();
  turn(turned);
  end();
}

const byAngle = (i, step) => (angles) => {
  const next = [...angles];
  next[i] += step;
  if (i === 1) next[1] = Math.max(-90, Math.min(90, next[1]));
  return normalized(next);
};

function take(i) {
  const each = proposal?.of === object() && poses()[i];
  if (each) turnOnce(() => [...each.angles_deg]);
}

async function snap() {
  const each = object();
  const file = current.file;
  if (!each?.angles_deg || !network.has_density) return;
  try {
    const found = await post("snap", {
      file, box: each.box, category: each.category, rotation: rotationFromAngles(each.angles_deg),
    });
    if (object() !== each) return;
    if (found.reached) turnOnce(() => found.angles_deg);
    message(found.reached ? "Snapped; Z undoes it." : "The network likes no pose near this one better.", true);
  } catch (error) {
    message(error.message);
  }
}

function undo() {
  const last = undone.pop();
  if (!last) return;
  const each = photos.get(last.file);
  // What is saved has its own numbers by now.
  each.objects = last.objects;
  saver.save(last.file);
  if (current.file === last.file) choose(Math.min(last.chosen, each.objects.length - 1));
  else open(last.file);
  refresh();
}

function addObject() {
  begin();
  current.objects = current.objects.filter((each) => each.state !== "skipped");
  const last = object();
  current.objects.push(blank(last?.category ?? ""));
  choose(current.objects.length - 1);
  drawing = true;
  message("Drag a box around the object.", true);
}

function removeObject() {
  begin();
  current.objects.splice(chosen, 1);
  choose(Math.max(0, chosen - 1));
  end();
}

function blank(category = "") {
  // `local`: nothing of it is the person's yet; `proposed` and `guessed`: its pose, its category.
  const own = { local: true, proposed: true, guessed: !category };
  return { id: null, state: "draft", category, angles_deg: null, box: null, symmetry: "none", ...own };
}

function done() {
  const each = object();
  if (!each || each.state === "skipped") return;
  if (!each.category) {
    message("What is it? Give the category.");
    part("category").focus();
    return;
  }
  if (!each.angles_deg) {
    message("Turn the model first, or say that no pose is visible.");
    return;
  }
  change({ state: "labeled", proposed: false, guessed: false });
  const left = current.objects.findIndex((one) => one.state === "draft");
  if (left >= 0) choose(left);
  else step(1, true);
}

function noPose() {
  if (!object()) return;
  change({ state: "no pose", angles_deg: null });
  const left = current.objects.findIndex((one) => one.state === "draft");
  if (left >= 0) choose(left);
  else step(1, true);
}

function skip() {
  if (!current) return;
  begin();
  const kept = current.objects.filter((each) => each.state === "labeled" || each.state === "no pose");
  current.objects = kept.length ? kept : [{ ...blank(), state: "skipped", local: false }];
  chosen = 0;
  end();
  step(1, true);
}

// ---- photos

function choose(i) {
  chosen = Math.max(0, i);
  seen = { scale: 1, shift: [0, 0] };
  proposal = null;
  part("category").value = object()?.category ?? ""; // at once: who types does not wait for a frame
  message("");
  showModel(true);
  propose();
  refresh();
}

let opening = 0;
async function open(file) {
  const number = ++opening;
  current = photos.get(file);
  drawing = false;
  if (!current.objects.length) current.objects.push(blank());
  part("broken").hidden = true;
  stage.clear();
  choose(current.objects.findIndex((each) => each.state === "draft"));
  history.replaceState(null, "", `#${encodeURIComponent(file)}`);
  try {
    const found = await openPhoto("photo", { file });
    if (number !== opening) return;
    stage.show(found.url, found.size);
    part("photo").alt = `Photo ${file}`;
  } catch (error) {
    if (number !== opening) return;
    part("broken").textContent = `${error.message} Skip it, or mend the file and reload.`;
    part("broken").hidden = false;
  }
  refresh();
}

function step(by, toOpen = false) {
  // The next photo in order, or the next that is not done.
  const at = order.indexOf(current.file);
  for (let i = 1; i <= order.length; i++) {
    const file = order[(at + by * i + order.length * i) % order.length];
    if (!toOpen || isOpen(photos.get(file))) {
      open(file);
      return;
    }
  }
  message("Every photo is done. Now train on the labels, below.", true);
  part("train-panel").open = true;
}

async function propose() {
  const each = object();
  if (!each || each.state === "skipped" || each.state === "no pose") return;
  if (each.proposed) each.angles_deg ??= FRONTAL;
  if (!network.ready || (session.second_pass && !each.asked)) return; // one's own eyes first
  const file = current.file;
  try {
    const found = await post("propose", { file, box: each.box });
    unsure.set(file, found.pose_confidence ?? found.confidence * (found.known ?? 1));
    if (object() !== each) return;
    proposal = { ...found, of: each };
    adopt(each, found);
    showModel(true);
  } catch (error) {
    if (object() !== each) return;
    if (part("broken").hidden) message(error.message);
  }
  refresh();
}

function adopt(each, found) {
  // What the person has not said themselves.
  const before = JSON.stringify(each);
  if (each.proposed) each.angles_deg = found.angles_deg;
  if (each.guessed) each.category = found.category;
  if (!each.local && JSON.stringify(each) !== before) saver.save(current.file);
}

async function showModel(byCategory) {
  // The model of the category, unless another one was chosen for it.
  const each = object();
  const names = session.models;
  const category = each?.category ?? "";
  if (byCategory) {
    part("models").value = models.get(category)
      ?? names.find((name) => name.split("/")[0] === category) // one's own come first
      ?? names.find((name) => name.endsWith(`/${category}`))
      ?? "block";
  }
  const name = part("models").value;
  try {
    const triangles = await model(name);
    if (part("models").value === name && view.triangles !== triangles) view.load(triangles);
  } catch (error) {
    message(error.message);
  }
  refresh();
}
const models = new Map(); // category -> the model that the person chose

function replaced(file, words) {
  // Another window has changed this photo: its state counts.
  if (current.file === file) choose(Math.min(chosen, photos.get(file).objects.length - 1));
  message(`${file}: ${words}`);
  if (session.second_pass) showAgreement();
}

async function sortUnsure() {
  const files = [...photos.keys()];
  if (part("order").value === "unsure") {
    let count = 0;
    for (const file of files) {
      if (part("order").value !== "unsure") return;
      if (!unsure.has(file)) {
        try {
          const box = photos.get(file).objects[0]?.box ?? null;
          const found = await post("propose", { file, box });
          unsure.set(file, found.pose_confidence ?? found.confidence * (found.known ?? 1));
        } catch (error) {
          if (network.error || error.status === 0) {
            message(network.error || error.message);
            return;
          }
          unsure.set(file, 0);
        }
      }
      message(`The network has looked at ${++count} of ${files.length} photos.`, true);
    }
    message("The photos that it is least sure of come first.", true);
    files.sort((a, b) => unsure.get(a) - unsure.get(b));
  }
  list(files);
}

function list(files) {
  order = files;
  part("photos").replaceChildren(...files.map((file) => new Option(file, file)));
  refresh();
}

async function showAgreement() {
  if (!session.second_pass) return;
  const found = await get("agreement");
  const worst = (found.worst ?? []).map(({ file, degrees }) => `${file} ${degrees.toFixed(1)}°`).join(", ");
  part("agreement").textContent = found.count
    ? `${found.count} objects: median ${found.median_deg.toFixed(1)}°, nine of ten within ${found.percentile_90_deg.toFixed(1)}°. Furthest: ${worst}.`
    : "Nothing is labeled twice yet.";
}

async function watchNetwork() {
  const before = network.name;
  do {
    try {
      network = await get("network");
    } catch {
      return;
    }
    refresh();
    if (!network.ready && !network.error) await new Promise((wait) => setTimeout(wait, 500));
  } while (!network.ready && !network.error);
  suggest();
  if (before && before !== network.name) unsure.clear();
  propose();
}

function suggest() {
  const own = [...photos.values()].flatMap((each) => each.objects).map((each) => each.category);
  const names = new Set([...own, ...network.categories, ...session.models.map((name) => name.split("/")[0])]);
  names.delete("");
  names.delete("block");
  part("categories").replaceChildren(...[...names].map((name) => new Option(name)));
}

// ---- hands and keys

const dials = new Dials(part("dials"), {
  begin: () => object() && begin(),
  change: (i, value) => turn((angles) => normalized(angles.map((x, j) => (i === j ? value : x)))),
  end: () => object() && end(),
});

function resized(edges, dx, dy) {
  const box = [...boxOf(object())];
  const moves = [dx, dy, dx, dy].map((x) => x / stage.zoom);
  edges.forEach((held, i) => {
    if (held) box[i] = Math.min(stage.size[i % 2], Math.max(0, box[i] + moves[i]));
  });
  if (box[2] - box[0] >= 2 && box[3] - box[1] >= 2) edit({ box });
}

function drawn(edges) {
  const box = stage.toPhoto(edges).map((x, i) => Math.min(stage.size[i % 2], Math.max(0, x)));
  if (box[2] - box[0] >= 2 && box[3] - box[1] >= 2) edit({ box });
}

listen(stage, {
  box: () => (object() && object().state !== "skipped" && !part("photo").hidden ? stage.toScreen(boxOf(object())) : null),
  center: () => {
    const edges = stage.toScreen(boxOf(object()));
    return [(edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2];
  },
  isDrawing: () => drawing,
  begin: (kind) => {
    moving = true;
    if (kind !== "pan" && object()) begin();
  },
  end: (kind) => {
    moving = false;
    refresh();
    if (!object() || kind === "pan") return;
    drawing = kind === "drawn" ? false : drawing;
    const before = undone.at(-1);
    if (JSON.stringify(before.objects) === JSON.stringify(current.objects)) {
      undone.pop(); // a click, or the model was only moved on the page
      refresh();
      return;
    }
    end();
    if (kind === "drawn" || kind === "resize") propose();
  },
  turn: (dx, dy) => {
    const edges = stage.toScreen(boxOf(object()));
    const radius = 0.5 * Math.max(80, Math.min(edges[2] - edges[0], edges[3] - edges[1]));
    turn((angles) => dragged(angles, dx, dy, radius));
  },
  tilt: (from, to) => turn((angles) => tilted(angles, from, to)),
  scale: (factor) => {
    seen.scale = Math.min(8, Math.max(0.1, seen.scale * factor));
    refresh();
  },
  move: (dx, dy) => {
    seen.shift = [seen.shift[0] + dx / stage.zoom, seen.shift[1] + dy / stage.zoom];
    refresh();
  },
  resize: resized,
  drawn,
  pan: (dx, dy) => {
    stage.moveBy(dx, dy);
    refresh();
  },
  zoom: (factor, point) => {
    stage.zoomBy(factor, point);
    refresh();
  },
});

const zoom = (factor) => () => {
  stage.zoomBy(factor);
  refresh();
};
const KEYS = {
  ArrowLeft: (step) => turnOnce(byAngle(0, step)),
  ArrowRight: (step) => turnOnce(byAngle(0, -step)),
  ArrowUp: (step) => turnOnce(byAngle(1, -step)),
  ArrowDown: (step) => turnOnce(byAngle(1, step)),
  ",": (step) => turnOnce(byAngle(2, step)),
  ".": (step) => turnOnce(byAngle(2, -step)),
  "<": () => turnOnce(byAngle(2, 1)),
  ">": () => turnOnce(byAngle(2, -1)),
  m: () => turnOnce(mirrored),
  f: () => turnOnce(reversed),
  p: () => {
    if (session.second_pass && object()) {
      object().asked = true;
      propose().then(() => take(0));
    } else take(0);
  },
  s: snap,
  b: () => toggleDrawing(),
  w: () => wholeBox(),
  n: noPose,
  k: skip,
  z: undo,
  "+": zoom(1.25),
  "=": zoom(1.25),
  "-": zoom(0.8),
  0: () => {
    seen = { scale: 1, shift: [0, 0] };
    stage.fit();
    refresh();
  },
  "[": () => step(-1),
  "]": () => step(1),
  Enter: done,
};

function toggleDrawing() {
  if (!object()) return;
  drawing = !drawing;
  refresh();
}

function wholeBox() {
  change({ box: null });
  propose();
}

document.addEventListener("keydown", (event) => {
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
});

for (const [id, act] of Object.entries({
  done, skip, undo, snap, "no-pose": noPose, mirror: KEYS.m, reverse: KEYS.f,
  "draw-box": toggleDrawing, "whole-box": wholeBox, previous: KEYS["["], next: KEYS["]"],
  "zoom-in": KEYS["+"], "zoom-out": KEYS["-"], "zoom-fit": KEYS[0],
})) {
  part(id).addEventListener("click", () => act());
}
for (const id of ["opacity", "outline", "axes", "stretch"]) part(id).addEventListener("input", refresh);
part("photos").addEventListener("change", () => open(part("photos").value));
part("order").addEventListener("change", sortUnsure);
part("category").addEventListener("change", () => {
  const category = part("category").value.trim();
  // The symmetry is the category's: that of its other objects.
  const same = [...photos.values()].flatMap((each) => each.objects).find(
    (each) => each !== object() && each.category === category,
  );
  change({ category, symmetry: same?.symmetry ?? "none", guessed: false });
  suggest();
  showModel(true);
});
part("models").addEventListener("change", () => {
  if (object()) models.set(object().category, part("models").value);
  showModel(false);
});
part("symmetry").addEventListener("change", () => {
  const { category } = object();
  const symmetry = part("symmetry").value;
  change({ symmetry });
  for (const each of photos.values()) {
    const own = each.objects.filter((one) => one.category === category && one.symmetry !== symmetry);
    for (const one of own) one.symmetry = symmetry;
    if (own.length && each !== current) saver.save(each.file);
  }
});

async function start() {
  session = await get("session");
  document.title = `${session.folder}: catpose label`;
  part("folder").textContent = session.folder + (session.second_pass ? ", second pass" : "");
  for (const each of session.photos) {
    photos.set(each.file, each);
    for (const one of each.objects) one.proposed = one.state === "draft" && !one.angles_deg;
  }
  part("models").replaceChildren(...session.models.map((name) => new Option(name, name)));
  part("agreement-panel").hidden = !session.second_pass;
  if (!view.gl) message("This browser draws no 3D models (WebGL is off): the axes alone show the pose.");
  suggest();
  list([...photos.keys()]);
  const wanted = decodeURIComponent(location.hash.slice(1));
  open(photos.has(wanted) ? wanted : order.find((file) => isOpen(photos.get(file))) ?? order[0]);
  showAgreement();
  saver.onsaved = showAgreement;
  startTraining(session, { counted: () => photos, used: watchNetwork });
  watchNetwork();
}

start().catch((error) => message(error.message));

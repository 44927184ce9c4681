// The panels beside the photo: what they show of the chosen object, and what one enters there.

import { counted, part } from "../page.js";
import { bars, choices, poseText, shares } from "../panels.js";
import { addObject, removeObject } from "./decisions.js";
import { Dials } from "./dials.js";
import { begin, canUndo, change, end, saver, toAngle, turn } from "./edits.js";
import { choose, open, sort } from "./photos.js";
import { poses, take } from "./proposals.js";
import { chooseModel, refresh, showModel } from "./scene.js";
import { allObjects, isOpen, isSkipped, object, state } from "./state.js";

const WORDS = { labeled: "done", draft: "begun", "no pose": "no pose visible", skipped: "skipped" };
const OF_AN_OBJECT = [
  "category", "models", "draw-box", "whole-box", "symmetry", "mirror", "reverse", "done", "no-pose",
];

const dials = new Dials(part("dials"), {
  begin: () => object() && begin(),
  change: (i, value) => turn(toAngle(i, value)),
  end: () => object() && end(),
});

export function showPanels(moving) {
  const each = object();
  const off = isSkipped() || part("photo").hidden;
  dials.show(off ? null : each.angles_deg);
  if (moving) return; // the rest waits for the hand's rest
  showProgress();
  showObjects();
  for (const id of OF_AN_OBJECT) part(id).disabled = off;
  part("skip").disabled = !state.current;
  part("undo").disabled = !canUndo();
  part("snap").disabled = off || !state.network.has_density;
  part("snap").title = state.network.has_density ? "S" : "the network says no density of poses";
  part("draw-box").setAttribute("aria-pressed", String(state.drawing));
  part("stage").classList.toggle("drawing", state.drawing);
  if (document.activeElement !== part("category")) part("category").value = each?.category ?? "";
  part("symmetry").value = each?.symmetry ?? "none";
  showProposal();
}

function showProgress() {
  const photos = [...state.photos.values()];
  const done = photos.filter((one) => !isOpen(one)).length;
  const labeled = allObjects().filter((one) => one.state === "labeled").length;
  Object.assign(part("progress"), { value: done, max: photos.length });
  part("counted").textContent = `${done} of ${photos.length} photos done, ${counted(labeled, "object")} labeled`;
  for (const option of part("photos").options) {
    const states = state.photos.get(option.value).objects.filter((one) => !one.local).map((one) => one.state);
    const mark = !states.length ? "" : states.includes("draft") ? "… " : states.includes("labeled") ? "✓ " : "– ";
    if (option.text !== mark + option.value) option.text = mark + option.value;
  }
  if (state.current) part("photos").value = state.current.file;
}

function showObjects() {
  const buttons = (state.current?.objects ?? []).map((one, i) => ({
    text: `${i + 1} ${one.category || "?"}, ${one.local ? "proposed" : WORDS[one.state]}`,
    pressed: i === state.chosen,
    act: () => choose(i),
  }));
  choices(part("objects"), [
    ...buttons,
    { text: "+ another", act: addObject, label: "Another object in this photo" },
    ...(buttons.length > 1 ? [{ text: "Remove", act: removeObject }] : []),
  ]);
}

function showProposal() {
  const { network, proposal } = state;
  const words = network.error || (network.ready ? "" : "is being loaded; labeling works meanwhile");
  part("network-state").textContent = words;
  part("network-state").hidden = !words;
  part("network").textContent = network.name || "the network";
  const found = poses();
  bars(part("bars"), found.length ? shares(proposal) : []);
  choices(part("alternatives"), found.map(({ angles_deg, share }, i) => ({
    text: `${i || "P"}: ${poseText(angles_deg)}${share ? `, ${Math.round(100 * share)} %` : ""}`,
    act: () => take(i),
    label: `${i ? `Alternative ${i}` : "Proposal"}: ${poseText(angles_deg)}`,
  })));
}

export function suggestCategories() {
  const models = state.session.models.map((name) => name.split("/")[0]);
  const names = new Set([...allObjects().map((each) => each.category), ...state.network.categories, ...models]);
  names.delete("");
  names.delete("block");
  part("categories").replaceChildren(...[...names].map((name) => new Option(name)));
}

function enterCategory() {
  const category = part("category").value.trim();
  // The symmetry is the category's: that of its other objects.
  const same = allObjects().find((each) => each !== object() && each.category === category);
  change({ category, symmetry: same?.symmetry ?? "none", guessed: false });
  suggestCategories();
  showModel();
}

function enterSymmetry() {
  // Of all objects of the category.
  const { category } = object();
  const symmetry = part("symmetry").value;
  change({ symmetry });
  for (const each of state.photos.values()) {
    const own = each.objects.filter((one) => one.category === category && one.symmetry !== symmetry);
    for (const one of own) one.symmetry = symmetry;
    if (own.length && each !== state.current) saver.save(each.file);
  }
}

export function startFields() {
  part("models").replaceChildren(...state.session.models.map((name) => new Option(name, name)));
  for (const id of ["opacity", "outline", "axes", "stretch"]) part(id).addEventListener("input", refresh);
  part("photos").addEventListener("change", () => open(part("photos").value));
  part("order").addEventListener("change", sort);
  part("category").addEventListener("change", enterCategory);
  part("models").addEventListener("change", () => chooseModel(part("models").value));
  part("symmetry").addEventListener("change", enterSymmetry);
}

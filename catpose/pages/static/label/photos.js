// Which photo is open, which of its objects is chosen, and in which order one goes through them.

import { message, part } from "../page.js";
import { photo } from "../server.js";
import { confidence, propose } from "./proposals.js";
import { refresh, resetView, showModel, stage } from "./scene.js";
import { blank, isOpen, object, state } from "./state.js";

export function choose(i) {
  state.chosen = Math.max(0, i);
  state.proposal = null;
  resetView();
  part("category").value = object()?.category ?? ""; // at once: who types does not wait for a frame
  message("");
  showModel();
  propose();
  refresh();
}

export const chooseDraft = () => choose(state.current.objects.findIndex((each) => each.state === "draft"));

let opening = 0;
export async function open(file) {
  const number = ++opening;
  state.current = state.photos.get(file);
  state.drawing = false;
  if (!state.current.objects.length) state.current.objects.push(blank());
  part("broken").hidden = true;
  stage.clear();
  chooseDraft();
  history.replaceState(null, "", `#${encodeURIComponent(file)}`);
  try {
    const found = await photo("photo", { file });
    if (number !== opening) return;
    stage.show(found.url, found.size);
    part("photo").alt = `Photo ${file}`;
  } catch (error) {
    if (number !== opening) return;
    message(""); // the network may have said it already
    part("broken").textContent = `${error.message} Skip it, or mend the file and reload.`;
    part("broken").hidden = false;
  }
  refresh();
}

export function step(by, toOpen = false) {
  // The next photo in order, or the next that is not done.
  const { order, photos } = state;
  const at = order.indexOf(state.current.file);
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

export function next() {
  // The next draft in this photo, or the next photo that is not done.
  if (state.current.objects.some((each) => each.state === "draft")) chooseDraft();
  else step(1, true);
}

export function list(files) {
  state.order = files;
  part("photos").replaceChildren(...files.map((file) => new Option(file, file)));
  refresh();
}

export async function sort() {
  const files = [...state.photos.keys()];
  if (part("order").value === "unsure") {
    const sure = new Map();
    try {
      for (const file of files) {
        if (part("order").value !== "unsure") return;
        sure.set(file, await confidence(file));
        message(`The network has looked at ${sure.size} of ${files.length} photos.`, true);
      }
    } catch (error) {
      part("order").value = "listed";
      message(error.message);
      return;
    }
    message("The photos that it is least sure of come first.", true);
    files.sort((a, b) => sure.get(a) - sure.get(b));
  }
  list(files);
}

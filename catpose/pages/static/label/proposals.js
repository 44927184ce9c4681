// What the network proposes for the chosen object, and how sure it is of each photo.

import { mirrored, reversed, rotationFromAngles } from "../geometry.js";
import { message, part } from "../page.js";
import { get, post } from "../server.js";
import { FRONTAL, saver, turnOnce } from "./edits.js";
import { refresh, showModel } from "./scene.js";
import { object, state } from "./state.js";

const AGAIN = 500; // ms until the next look at a network that is being loaded
const sure = new Map(); // file -> how sure the network is of it

async function ask(file, box) {
  const found = await post("propose", { file, box });
  sure.set(file, found.pose_confidence ?? found.confidence * (found.known ?? 1));
  return found;
}

export async function confidence(file) {
  // How sure the network is of a photo's first object; 0 where it cannot look at it.
  if (!sure.has(file)) {
    try {
      await ask(file, state.photos.get(file).objects[0]?.box ?? null);
    } catch (error) {
      if (state.network.error || error.status === 0) throw error;
      sure.set(file, 0);
    }
  }
  return sure.get(file);
}

export async function propose() {
  const each = object();
  if (!each || each.state === "skipped" || each.state === "no pose") return;
  if (each.proposed) each.angles_deg ??= FRONTAL;
  if (!state.network.ready || (state.session.second_pass && !each.asked)) return; // one's own eyes first
  try {
    const found = await ask(state.current.file, each.box);
    if (object() !== each) return;
    state.proposal = { ...found, of: each };
    adopt(each, found);
    showModel();
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
  if (!each.local && JSON.stringify(each) !== before) saver.save(state.current.file);
}

export function poses() {
  // Of the chosen object, the network's pose and its alternatives; else what is confused most
  // often: the rear, a mirror. Empty without a proposal.
  const { proposal } = state;
  if (!proposal || proposal.of !== object()) return [];
  const first = { angles_deg: proposal.angles_deg, share: proposal.pose_confidence };
  const guesses = [reversed, mirrored, (a) => reversed(mirrored(a))].map(
    (turned) => ({ angles_deg: turned(proposal.angles_deg) }),
  );
  return [first, ...(proposal.alternatives.length ? proposal.alternatives : guesses)];
}

export function take(i) {
  const pose = poses()[i];
  if (pose) turnOnce(() => [...pose.angles_deg]);
}

export async function takeProposal() {
  // In a second pass nothing is proposed before one asks.
  if (state.session.second_pass && object() && !object().asked) {
    object().asked = true;
    await propose();
  }
  take(0);
}

export async function snap() {
  const each = object();
  const pose = each?.angles_deg;
  if (!pose) return;
  if (!state.network.has_density) {
    message("There is nothing to snap to: this network gives one pose and no density of poses.");
    return;
  }
  try {
    const found = await post("snap", {
      file: state.current.file, box: each.box, category: each.category, rotation: rotationFromAngles(pose),
    });
    if (object() !== each || each.angles_deg !== pose) return; // the person went on meanwhile
    if (found.reached) turnOnce(() => found.angles_deg);
    message(found.reached ? "Snapped; Z undoes it." : "The network likes no pose near this one better.", true);
  } catch (error) {
    message(error.message);
  }
}

export async function watchNetwork(loaded) {
  // Until the network can answer, or cannot be loaded; a new one forgets what the last one said.
  const before = state.network.name;
  do {
    try {
      state.network = await get("network");
    } catch {
      return;
    }
    refresh();
    if (state.network.ready || state.network.error) break;
    await new Promise((wait) => setTimeout(wait, AGAIN));
  } while (true);
  if (before !== state.network.name) sure.clear();
  loaded();
  propose();
}

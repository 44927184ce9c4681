// The page for labeling: reads what is there already, and puts its pieces together.

import { counted, message, part } from "../page.js";
import { get } from "../server.js";
import { saver } from "./edits.js";
import { showPanels, startFields, suggestCategories } from "./fields.js";
import { startHands } from "./hands.js";
import { startKeys } from "./keys.js";
import { choose, list, open } from "./photos.js";
import { watchNetwork } from "./proposals.js";
import { canDraw, showPanelsWith } from "./scene.js";
import { isOpen, state } from "./state.js";
import { countLabels, startTraining } from "./train_panel.js";

let asking = 0;
async function showAgreement() {
  if (!state.session.second_pass) return;
  const number = ++asking;
  const found = await get("agreement");
  if (number !== asking) return; // a later answer may have come first
  const worst = (found.worst ?? []).map(({ file, degrees }) => `${file} ${degrees.toFixed(1)}°`).join(", ");
  part("agreement").textContent = found.count
    ? `${counted(found.count, "object")}: median ${found.median_deg.toFixed(1)}°, nine of ten within ${found.percentile_90_deg.toFixed(1)}°. Furthest: ${worst}.`
    : "Nothing is labeled twice yet.";
}

function replaced(file, words) {
  // Another window has changed this photo: its state counts.
  if (state.current.file === file) choose(Math.min(state.chosen, state.current.objects.length - 1));
  message(`${file}: ${words}`);
  showAgreement();
}

async function start() {
  const session = (state.session = await get("session"));
  document.title = `${session.folder}: catpose label`;
  part("folder").textContent = session.folder + (session.second_pass ? ", second pass" : "");
  part("agreement-panel").hidden = !session.second_pass;
  for (const each of session.photos) {
    state.photos.set(each.file, each);
    for (const one of each.objects) one.proposed = one.state === "draft" && !one.angles_deg;
  }
  showPanelsWith(showPanels);
  startFields();
  startHands();
  startKeys();
  suggestCategories();
  if (!canDraw) message("This browser draws no 3D models (WebGL is off): the axes alone show the pose.");
  list([...state.photos.keys()]);
  const wanted = decodeURIComponent(location.hash.slice(1));
  open(state.photos.has(wanted) ? wanted : state.order.find((file) => isOpen(state.photos.get(file))) ?? state.order[0]);
  const onsaved = () => {
    showAgreement();
    countLabels();
  };
  Object.assign(saver, { onsaved, onreplaced: replaced });
  showAgreement();
  const useNetwork = () => watchNetwork(suggestCategories);
  startTraining(useNetwork);
  useNetwork();
}

start().catch((error) => message(error.message));

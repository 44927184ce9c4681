// The panel that trains on the labels: the command, its progress, and the new network.

import { copyable, counted, part } from "../page.js";
import { get, post } from "../server.js";

const EVERY = 1000; // ms
const WORDS = {
  none: "",
  running: "training …",
  finished: "Finished. The new network can propose poses now.",
  stopped: "Stopped. Train now begins anew.",
  failed: "It ended with an error; the last lines say why.",
};
let timer;

function show(state) {
  const { train, validation, test } = state.splits;
  part("splits").textContent = `${counted(train + validation + test, "labeled object")}: ${train} to train on, `
    + `${validation} to validate and ${test} to test with, by their photos. ${validation ? "" : "Label more until some validate."}`;
  part("command").textContent = state.command;
  part("train-state").textContent = WORDS[state.status];
  const has = state.status !== "none";
  Object.assign(part("train-progress"), { hidden: !has, value: state.step ?? 0, max: state.total || 1 });
  part("train").disabled = state.status === "running";
  part("stop").hidden = state.status !== "running";
  part("use").hidden = state.status !== "finished";
  part("train-lines").hidden = !state.lines?.length;
  part("train-lines").textContent = (state.lines ?? []).join("\n");
  clearTimeout(timer);
  if (state.status === "running") timer = setTimeout(update, EVERY);
}

const attempt = (action) => async () => {
  try {
    await action();
  } catch (error) {
    part("train-state").textContent = error.message;
  }
};
const update = attempt(async () => show(await get("training")));

export function countLabels() {
  // After a change of what the panel counts, where it is open.
  if (part("train-panel").open) update();
}

export function startTraining(useNetwork) {
  // `useNetwork()` takes the network that the server proposes with from now on.
  part("train").addEventListener("click", attempt(async () => show(await post("train", {}))));
  part("stop").addEventListener("click", attempt(async () => show(await post("stop", {}))));
  part("use").addEventListener("click", attempt(async () => {
    await post("use", {});
    useNetwork();
  }));
  copyable(part("copy-command"), part("command"));
  part("train-panel").addEventListener("toggle", update);
  update();
}

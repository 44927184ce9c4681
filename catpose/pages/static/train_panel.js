// The panel that trains on the labels: the command, its progress, and the new network.

import { get, post } from "./server.js";

const EVERY = 1000; // ms
const part = (id) => document.getElementById(id);
const WORDS = {
  none: "",
  running: "training …",
  finished: "Finished. The new network can propose poses now.",
  failed: "It ended with an error; the last lines say why.",
};

export function startTraining(session, { counted, used }) {
  let timer;

  function show(state) {
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

  function splits() {
    // How many objects each split has, as far as the page knows.
    const labeled = [...counted().values()].flatMap((each) => each.objects).filter((each) => each.state === "labeled");
    const names = new Set(labeled.map((each) => each.category));
    part("splits").textContent = `${labeled.length} labeled objects of ${names.size} categories in ${session.manifest}.`;
  }

  const attempt = (action) => async () => {
    try {
      show(await action());
    } catch (error) {
      part("train-state").textContent = error.message;
    }
  };
  const update = attempt(() => get("training"));
  part("train").addEventListener("click", attempt(() => post("train", {})));
  part("stop").addEventListener("click", attempt(() => post("stop", {})));
  part("use").addEventListener("click", async () => {
    try {
      await post("use", {});
      used();
    } catch (error) {
      part("train-state").textContent = error.message;
    }
  });
  part("copy-command").addEventListener("click", async () => {
    await navigator.clipboard.writeText(part("command").textContent);
    part("train-state").textContent = "Copied.";
  });
  part("train-panel").addEventListener("toggle", () => {
    splits();
    update();
  });
  update();
}

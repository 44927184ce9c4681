// What mouse, pen and fingers on the photo do to the chosen object.

import { dragged, tilted } from "../geometry.js";
import { listen } from "../gestures.js";
import { part } from "../page.js";
import { begin, edit, endOrForget, turn } from "./edits.js";
import { propose } from "./proposals.js";
import { boxOf, edgesOnScreen, middleOf, moveModel, refresh, scaleModel, setMoving, stage, zoomBy } from "./scene.js";
import { isSkipped, object, state } from "./state.js";

const SMALLEST = 2; // pixels of a box's side

function setBox(edges) {
  const box = edges.map((x, i) => Math.min(stage.size[i % 2], Math.max(0, x)));
  if (box[2] - box[0] >= SMALLEST && box[3] - box[1] >= SMALLEST) edit({ box });
}

export function startHands() {
  listen(stage, {
    box: () => (isSkipped() || part("photo").hidden ? null : edgesOnScreen()),
    center: () => middleOf(edgesOnScreen()),
    isDrawing: () => state.drawing,
    begin: (kind) => {
      setMoving(true);
      if (kind !== "pan" && object()) begin();
    },
    end: (kind) => {
      setMoving(false);
      if (!object() || kind === "pan") return;
      if (kind === "drawn") state.drawing = false;
      // A click, or where the model was only moved on the page, is no change.
      if (endOrForget() && (kind === "drawn" || kind === "resize")) propose();
    },
    turn: (dx, dy) => {
      const [x0, y0, x1, y1] = edgesOnScreen();
      const radius = 0.5 * Math.max(80, Math.min(x1 - x0, y1 - y0));
      turn((angles) => dragged(angles, dx, dy, radius));
    },
    tilt: (from, to) => turn((angles) => tilted(angles, from, to)),
    scale: scaleModel,
    move: moveModel,
    resize: (held, dx, dy) => {
      const moves = [dx, dy, dx, dy];
      setBox(boxOf(object()).map((x, i) => (held[i] ? x + moves[i] / stage.zoom : x)));
    },
    drawn: (edges) => setBox(stage.toPhoto(edges)),
    pan: (dx, dy) => {
      stage.moveBy(dx, dy);
      refresh();
    },
    zoom: zoomBy,
  });
}

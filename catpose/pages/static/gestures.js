// Mouse, pen and fingers on a photo, as what they mean: turn, tilt, scale, move, a box, a zoom.

const REACH = { mouse: 9, pen: 14, touch: 22 }; // CSS pixels around the box's edges

export function edgesAt([x, y], [x0, y0, x1, y1], reach) {
  // Which of the box's edges a point takes hold of: [left, top, right, bottom]; null for none.
  if (x < x0 - reach || x > x1 + reach || y < y0 - reach || y > y1 + reach) return null;
  // In a small box the middle still turns the model.
  const [rx, ry] = [Math.min(reach, (x1 - x0) / 4), Math.min(reach, (y1 - y0) / 4)];
  const left = x < x0 + rx;
  const right = !left && x > x1 - rx;
  const top = y < y0 + ry;
  const bottom = !top && y > y1 - ry;
  return left || right || top || bottom ? [left, top, right, bottom] : null;
}

export function boxBetween(a, b) {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
}

const CURSORS = { "1000": "ew", "0010": "ew", "0100": "ns", "0001": "ns", "1100": "nwse", "0011": "nwse", "1001": "nesw", "0110": "nesw" };

export function listen(stage, actions) {
  // `actions`: box() -> the box on screen or null; center() -> where the model is; isDrawing();
  // begin(), end(kind), and turn, tilt, scale, move, resize, drawn, pan, zoom with their numbers.
  const element = stage.element;
  const pointers = new Map();
  let gesture = null;

  function start(event) {
    const point = stage.pointOf(event);
    const box = actions.box();
    const edges = box && edgesAt(point, box, REACH[event.pointerType] ?? REACH.mouse);
    if (event.button === 1 || (event.button === 0 && event.altKey)) return { kind: "pan" };
    if (event.button === 2) return { kind: "move" };
    if (actions.isDrawing(edges)) return { kind: "drawn", from: point };
    if (edges) return { kind: "resize", edges };
    return { kind: event.shiftKey ? "tilt" : "turn" };
  }

  element.addEventListener("pointerdown", (event) => {
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, stage.pointOf(event));
    if (pointers.size === 1) {
      gesture = start(event);
      actions.begin(gesture.kind);
    } else if (pointers.size === 2) {
      if (gesture?.kind === "drawn" || gesture?.kind === "resize") actions.end(gesture.kind);
      gesture = { kind: "pinch" };
    }
    event.preventDefault();
  });

  element.addEventListener("pointermove", (event) => {
    const point = stage.pointOf(event);
    const last = pointers.get(event.pointerId);
    if (!last) {
      hover(event, point);
      return;
    }
    const [dx, dy] = [point[0] - last[0], point[1] - last[1]];
    if (!gesture || (dx === 0 && dy === 0)) return;
    const before = [...pointers.values()];
    pointers.set(event.pointerId, point);
    if (gesture.kind === "pinch") pinch(before, [...pointers.values()]);
    else if (gesture.kind === "tilt") actions.tilt(relative(last), relative(point));
    else if (gesture.kind === "resize") actions.resize(gesture.edges, dx, dy);
    else if (gesture.kind === "drawn") actions.drawn(boxBetween(gesture.from, point));
    else actions[gesture.kind](dx, dy);
  });

  function relative(point) {
    const center = actions.center();
    return [point[0] - center[0], point[1] - center[1]];
  }

  function pinch([a, b], [c, d]) {
    const [before, after] = [[b[0] - a[0], b[1] - a[1]], [d[0] - c[0], d[1] - c[1]]];
    actions.tilt(before, after);
    actions.scale(Math.hypot(...after) / Math.max(1, Math.hypot(...before)));
    actions.move((c[0] + d[0] - a[0] - b[0]) / 2, (c[1] + d[1] - a[1] - b[1]) / 2);
  }

  function finish(event) {
    if (!pointers.delete(event.pointerId)) return;
    if (pointers.size) {
      // One finger stays: it must not turn what two have placed.
      if (gesture) actions.end(gesture.kind);
      gesture = null;
      return;
    }
    if (gesture) actions.end(gesture.kind);
    gesture = null;
  }
  element.addEventListener("pointerup", finish);
  element.addEventListener("pointercancel", finish);
  element.addEventListener("contextmenu", (event) => event.preventDefault());

  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.03 : 0.0012));
    if (event.ctrlKey || event.metaKey) actions.zoom(factor, stage.pointOf(event));
    else actions.scale(factor);
  }, { passive: false });

  function hover(event, point) {
    const box = actions.box();
    const edges = box && edgesAt(point, box, REACH.mouse);
    const name = edges && !actions.isDrawing(edges) && CURSORS[edges.map(Number).join("")];
    element.style.cursor = name ? `${name}-resize` : "";
  }
}

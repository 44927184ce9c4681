// Three small pictures of the angles, with their numbers: from above, from the side, in the photo.

import { wrap } from "../geometry.js";

const SVG = "http://www.w3.org/2000/svg";
// What each shows: the angle from the pointer's place (x right, y down), the hand's direction, marks.
const DIALS = [
  {
    name: "Azimuth",
    about: "From above: the dot is the camera. 0 sees the front, 90 the left side.",
    // From above with the front downwards: the left side is at the right.
    toPoint: (a) => [Math.sin(a), Math.cos(a)],
    fromPoint: (x, y) => wrap((Math.atan2(x, y) * 180) / Math.PI, 0),
    marks: [["front", 0, 44], ["left", 37, 3], ["rear", 0, -37], ["right", -36, 3]],
    body: "M -9 -15 h 18 v 26 h -18 z",
    nose: "M -9 8 h 18 l -9 10 z",
  },
  {
    name: "Elevation",
    about: "From the side: the dot is the camera. Positive looks from above.",
    toPoint: (e) => [Math.cos(e), -Math.sin(e)],
    fromPoint: (x, y) => (Math.atan2(-y, Math.abs(x)) * 180) / Math.PI,
    marks: [["above", 8, -37], ["below", 8, 44]],
    body: "M -16 -3 h 26 v 12 h -26 z M -11 -11 h 15 v 8 h -15 z",
    nose: "M 9 -3 l 9 6 l -9 6 z",
  },
  {
    name: "Theta",
    about: "In the photo: positive is turned counter-clockwise.",
    toPoint: (t) => [-Math.sin(t), -Math.cos(t)],
    fromPoint: (x, y) => (Math.atan2(-x, -y) * 180) / Math.PI,
    marks: [["+", -36, 3], ["−", 37, 3]],
    body: "",
    nose: "",
  },
];

function draw(parent, kind, attributes, text = "") {
  const element = parent.appendChild(document.createElementNS(SVG, kind));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

export class Dials {
  constructor(parent, { begin, change, end }) {
    this.parts = DIALS.map((dial, i) => {
      const label = parent.appendChild(document.createElement("label"));
      label.className = "dial";
      label.title = dial.about;
      label.append(`${dial.name} `);
      const svg = draw(label, "svg", { viewBox: "-50 -50 100 100", "aria-hidden": "true" });
      draw(svg, "circle", { r: 27, class: "ring" });
      const body = draw(svg, "g", {});
      draw(body, "path", { d: dial.body || "M -13 -10 h 26 v 20 h -26 z", class: "body" });
      draw(body, "path", { d: dial.nose || "M -5 -10 l 5 -7 l 5 7 z", class: "nose" });
      const hand = draw(svg, "line", { class: "hand" });
      const eye = draw(svg, "circle", { r: 5, class: "eye" });
      for (const [text, x, y] of dial.marks) draw(svg, "text", { x, y }, text);
      const input = label.appendChild(document.createElement("input"));
      Object.assign(input, { type: "number", step: "0.1", inputMode: "decimal" });
      input.setAttribute("aria-label", `${dial.name} in degrees`);
      // What is being typed stays until it is entered or left, whatever is drawn meanwhile.
      input.addEventListener("input", () => (this.typing = input));
      for (const name of ["change", "blur"]) input.addEventListener(name, () => (this.typing = null));
      input.addEventListener("change", () => {
        if (input.value !== "" && Number.isFinite(input.valueAsNumber)) {
          begin();
          change(i, input.valueAsNumber);
          end();
        }
      });
      const point = (event) => {
        const frame = svg.getBoundingClientRect();
        const x = event.clientX - frame.left - frame.width / 2;
        const y = event.clientY - frame.top - frame.height / 2;
        change(i, Math.round(dial.fromPoint(x, y)));
      };
      svg.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        svg.setPointerCapture(event.pointerId);
        begin();
        point(event);
      });
      svg.addEventListener("pointermove", (event) => {
        if (svg.hasPointerCapture(event.pointerId)) point(event);
      });
      svg.addEventListener("pointerup", end);
      return { dial, hand, eye, body, input };
    });
  }

  show(angles) {
    // [azimuth, elevation, theta] in degrees; null where there is no pose.
    this.parts.forEach(({ dial, hand, eye, body, input }, i) => {
      const radians = ((angles ? angles[i] : 0) * Math.PI) / 180;
      const [x, y] = dial.toPoint(radians);
      for (const [name, value] of [["x1", 20 * x], ["y1", 20 * y], ["x2", 27 * x], ["y2", 27 * y]]) {
        hand.setAttribute(name, value);
      }
      eye.setAttribute("cx", 27 * x);
      eye.setAttribute("cy", 27 * y);
      if (dial.name === "Theta") body.setAttribute("transform", `rotate(${(-radians * 180) / Math.PI})`);
      if (this.typing !== input) input.value = angles ? String(Math.round(angles[i] * 10) / 10) : "";
    });
  }
}

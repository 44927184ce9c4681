// Small pieces that both pages show.

export function choices(parent, entries) {
  // Buttons; they are made anew only where they have changed, so that the focus stays.
  const shown = JSON.stringify(entries);
  const focused = [...parent.children].indexOf(document.activeElement);
  if (parent.dataset.shown === shown) {
    entries.forEach((entry, i) => (parent.children[i].onclick = entry.act));
    return;
  }
  parent.dataset.shown = shown;
  parent.replaceChildren(...entries.map(({ text, act, pressed, label }) => {
    const button = document.createElement("button");
    button.textContent = text;
    button.onclick = act;
    if (label) button.setAttribute("aria-label", label);
    if (pressed !== undefined) button.setAttribute("aria-pressed", String(pressed));
    return button;
  }));
  parent.children[focused]?.focus();
}

const MOST = 6; // categories that are shown

export function shares({ probabilities, known }) {
  // The most probable categories of a proposal, and "none of these" where the network says it.
  const found = Object.entries(probabilities).sort((a, b) => b[1] - a[1]).slice(0, MOST);
  return known === null ? found : [...found, ["none of these", 1 - known]];
}

export function bars(parent, shares) {
  // Names with their shares as bars.
  const shown = JSON.stringify(shares);
  if (parent.dataset.shown === shown) return;
  parent.dataset.shown = shown;
  parent.replaceChildren(...shares.flatMap(([name, share]) => {
    const [text, track, fill, number] = ["span", "div", "div", "span"].map((kind) => document.createElement(kind));
    text.textContent = name;
    track.className = "track";
    fill.className = "fill";
    fill.style.width = `${100 * share}%`;
    track.append(fill);
    number.className = "number";
    number.textContent = `${Math.round(100 * share)} %`;
    return [text, track, number];
  }));
}

export function poseText([azimuth, elevation, theta]) {
  return `${Math.round(azimuth) % 360}°, ${Math.round(elevation)}°, ${Math.round(theta)}°`;
}

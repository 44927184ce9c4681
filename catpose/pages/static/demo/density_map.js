// The density of views as a map: azimuth across with the front in the middle, elevation upwards.

// From black through violet and orange to pale yellow; brightness grows evenly.
const COLORS = [[4, 5, 16], [60, 15, 90], [140, 40, 105], [215, 75, 65], [250, 150, 50], [252, 250, 190]];

function colorOf(share) {
  const at = Math.min(COLORS.length - 1.001, Math.max(0, share * (COLORS.length - 1)));
  const [low, high, rest] = [COLORS[Math.floor(at)], COLORS[Math.floor(at) + 1], at % 1];
  return low.map((x, i) => Math.round(x + rest * (high[i] - x)));
}

export function drawMap(canvas, density, [azimuth, elevation]) {
  // `density`: rows of elevations from 90 to -90, columns of azimuths from 0.
  const [rows, columns] = [density.length, density[0].length];
  const most = Math.max(1e-9, ...density.flat());
  const small = new OffscreenCanvas(columns, rows);
  const pixels = new ImageData(columns, rows);
  density.forEach((row, i) => row.forEach((value, j) => {
    // Azimuth grows to the right from -180: the front is in the middle.
    const place = 4 * (i * columns + ((j + columns / 2) % columns));
    pixels.data.set([...colorOf(Math.sqrt(value / most)), 255], place);
  }));
  small.getContext("2d").putImageData(pixels, 0, 0);
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, width, height);
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "center";
  [["rear", 0.06], ["right", 0.25], ["front", 0.5], ["left", 0.75], ["rear", 0.94]].forEach(([text, share]) => {
    context.lineWidth = 3;
    context.strokeStyle = "rgba(0,0,0,.7)";
    context.strokeText(text, share * width, height - 6);
    context.fillStyle = "#fff";
    context.fillText(text, share * width, height - 6);
  });
  const x = (((azimuth + 180) % 360) / 360) * width;
  const y = ((90 - elevation) / 180) * height;
  for (const [color, line] of [["#000", 4], ["#fff", 2]]) {
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    context.strokeStyle = color;
    context.lineWidth = line;
    context.stroke();
  }
}

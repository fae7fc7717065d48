// Samples -> canvases.

const bytes = (value) => Math.max(0, Math.min(255, Math.round((value + 1) * 127.5)));

/** Draw images Float32Array [num, channels, height, width] in [-1, 1] as a grid, pixel by pixel. */
export function drawImages(canvas, samples, num, shape, columns, gap) {
  const [channels, height, width] = shape;
  const rows = Math.ceil(num / columns), pixels = height * width;
  canvas.width = columns * (width + gap) - gap;
  canvas.height = rows * (height + gap) - gap;
  const context = canvas.getContext("2d");
  for (let n = 0; n < num; n++) {
    const image = context.createImageData(width, height);
    for (let i = 0; i < pixels; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes(samples[(n * channels + (channels === 3 ? c : 0)) * pixels + i]);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, (n % columns) * (width + gap), Math.floor(n / columns) * (height + gap));
  }
}

/** Draw one curve over others, which are faint, and over the band that contains every real curve if there is one. */
export function drawCurves(canvas, chosen, others, spec) {
  const shape = spec.shape, points = shape[shape.length - 1], channels = shape.length === 2 ? shape[0] : 1;
  const axes = spec.axes, xs = axes ? axes.x : Array.from({ length: points }, (_, i) => i);
  const values = axes ? [...axes.lower, ...axes.upper] : [...others, ...chosen];
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  const room = 0.12 * (high - low || 1);
  low -= room;
  high += room;
  canvas.className = "curve";
  canvas.width = 960;
  canvas.height = 640;
  const context = canvas.getContext("2d");
  const left = 60, right = canvas.width - 20, top = 20, bottom = canvas.height - 44;
  const first = xs[0], last = xs.length > 1 ? xs[points - 1] : first + 1;
  const at = (x, y) => [left + ((x - first) / (last - first)) * (right - left), bottom - ((y - low) / (high - low)) * (bottom - top)];
  const path = (ys) => ys.forEach((y, i) => context[i ? "lineTo" : "moveTo"](...at(xs[i], y)));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = "20px system-ui, sans-serif";
  for (const y of ticks(low, high)) {
    context.strokeStyle = "#e2e5ea";
    context.lineWidth = 1;
    context.beginPath();
    path2(context, at(first, y), at(last, y));
    context.fillStyle = "#3c4048";
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(String(y), left - 8, at(first, y)[1]);
  }
  for (const x of ticks(first, last)) {
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillText(String(x), at(x, low)[0], bottom + 8);
  }
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, bottom);
  context.clip();
  if (axes) {
    context.fillStyle = "#deebfa";
    context.beginPath();
    path(axes.lower);
    for (let i = points - 1; i >= 0; i--) context.lineTo(...at(xs[i], axes.upper[i]));
    context.fill();
  }
  const colours = ["200, 70, 40", "40, 90, 180", "50, 130, 70", "130, 80, 160"];
  const size = channels * points;
  const draw = (samples, start, opacity, width) => {
    for (let c = 0; c < channels; c++) {
      context.strokeStyle = `rgba(${colours[c % colours.length]}, ${opacity})`;
      context.lineWidth = width;
      context.lineJoin = "round";
      context.beginPath();
      path([...samples.slice(start + c * points, start + (c + 1) * points)]);
      context.stroke();
    }
  };
  for (let start = 0; start < others.length; start += size) draw(others, start, 0.2, 2);
  draw(chosen, 0, 1, 5);
  context.restore();
}

function path2(context, start, end) {
  context.moveTo(...start);
  context.lineTo(...end);
  context.stroke();
}

// Round numbers inside a range: multiples of 1, 2 or 5 times a power of ten, nine at most.
function ticks(low, high) {
  const smallest = (high - low) / 8, power = 10 ** Math.floor(Math.log10(smallest));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= smallest * (1 - 1e-9));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i++) found.push(Number((i * step).toPrecision(12)) || 0);
  return found;
}

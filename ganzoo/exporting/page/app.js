// The page: controls -> latents and a condition -> pictures.

import { drawCurves, drawImages } from "./drawing.js";
import { encodeText, loadModel } from "./model.js";
import { between, latents as drawLatents } from "./random.js";

const NUM = 16, COLUMNS = 4, SLIDERS = 8;
const $ = (id) => document.getElementById(id);

function report(error) {
  $("problem").textContent = `The generator cannot be run: ${error.message}`;
  $("problem").hidden = false;
}

async function main() {
  const model = await loadModel();
  const { description, generate } = model, { latent, sample } = description;
  const length = latent.dim * latent.grid.reduce((a, b) => a * b, 1);
  const size = sample.shape.reduce((a, b) => a * b, 1);
  // Range of the sliders; normal latents are rarely farther out.
  const [least, most] = { normal: [-3, 3], uniform: [-1, 1], categorical: [0, 1] }[latent.distribution]
    ?? [-latent.truncation, latent.truncation];

  let chosen = 0; // which of the samples of the seed
  let moved = null; // latents that sliders have changed, else null
  let first = 0; // first latent with a slider
  let sheetSamples = new Float32Array(0);

  const seedOf = (id) => {
    const seed = Number($(id).value);
    return Number.isSafeInteger(seed) && seed >= 0 ? seed : 0;
  };
  const row = (values, index) => values.slice(index * length, (index + 1) * length);
  const ofSeed = (id) => row(drawLatents(latent, NUM, seedOf(id)), chosen);

  function condition() {
    if (sample.text) return encodeText(sample.text, $("text").value);
    return sample.classes ? Number($("class").value) : undefined;
  }

  function current() {
    const start = moved ?? ofSeed("seed"), share = Number($("share").value);
    return share ? between(latent, start, ofSeed("target"), share) : start;
  }

  // While a sample is generated, further changes wait for it, and only the last of them is generated.
  function coalesced(work) {
    let running = false, again = false;
    return async () => {
      again = true;
      if (running) return;
      running = true;
      try {
        while (again) {
          again = false;
          await work();
        }
      } catch (error) {
        report(error);
      } finally {
        running = false;
      }
    };
  }

  const showSample = coalesced(async () => {
    const given = condition();
    if (given === null) return;
    const begun = performance.now();
    const values = await generate(current(), 1, given, seedOf("seed"));
    const milliseconds = performance.now() - begun;
    if (sample.kind === "image") drawImages($("sample"), values, 1, sample.shape, 1, 0);
    else drawCurves($("sample"), values, sheetSamples, sample);
    const share = Number($("share").value);
    $("caption").textContent = `Seed ${seedOf("seed")}, sample ${chosen}${moved ? ", latents changed" : ""}`
      + `${share ? `, ${Math.round(100 * share)} % of the way to seed ${seedOf("target")}` : ""}`
      + ` · ${milliseconds < 1 ? "under 1" : Math.round(milliseconds)} ms`;
    if (!performance.getEntriesByName("first-picture").length) performance.mark("first-picture");
  });

  const showSheet = coalesced(async () => {
    const given = condition();
    if (given === null) return;
    sheetSamples = await generate(drawLatents(latent, NUM, seedOf("seed")), NUM, given, seedOf("seed"));
    if (sample.kind === "image") drawImages($("sheet"), sheetSamples, NUM, sample.shape, COLUMNS, 2);
    else await showSample(); // faint, behind the chosen curve
  });

  function showSliders() {
    const values = current(), last = Math.min(length, first + SLIDERS);
    $("latent-range").textContent = `${first} to ${last - 1} of ${length}`;
    $("sliders").replaceChildren(...Array.from({ length: last - first }, (_, i) => {
      const line = document.createElement("div"), name = document.createElement("label");
      const slider = document.createElement("input"), value = document.createElement("output");
      line.className = "slider";
      name.textContent = first + i;
      name.htmlFor = slider.id = `latent-${first + i}`;
      Object.assign(slider, { type: "range", min: least, max: most, step: 0.01 });
      slider.value = values[first + i];
      value.textContent = values[first + i].toFixed(2);
      slider.addEventListener("input", () => {
        moved = moved ?? current();
        $("share").value = 0; // the morph begins again from here
        moved[first + i] = Number(slider.value);
        value.textContent = moved[first + i].toFixed(2);
        showSample();
      });
      line.append(name, slider, value);
      return line;
    }));
    $("back").disabled = first === 0;
    $("forward").disabled = last === length;
  }

  function changedSeed() {
    moved = null;
    $("share").value = 0;
    showSliders();
    showSample();
    showSheet();
  }

  const setSeed = (seed) => {
    $("seed").value = seed;
    changedSeed();
  };
  $("seed").addEventListener("change", () => setSeed(seedOf("seed")));
  $("previous").addEventListener("click", () => setSeed(Math.max(0, seedOf("seed") - 1)));
  $("next").addEventListener("click", () => setSeed(seedOf("seed") + 1));
  $("random").addEventListener("click", () => setSeed(Math.floor(Math.random() * 2 ** 31)));
  $("reset").addEventListener("click", () => setSeed(seedOf("seed")));
  for (const id of ["class", "text"]) $(id).addEventListener("input", () => {
    $("text").setCustomValidity(condition() === null ? `At most ${sample.text.max_length} of ${sample.text.alphabet}` : "");
    $("text").reportValidity();
    showSample();
    showSheet();
  });
  $("sheet").addEventListener("click", (event) => {
    const box = $("sheet").getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * COLUMNS);
    const line = Math.floor(((event.clientY - box.top) / box.height) * (NUM / COLUMNS));
    chosen = Math.min(NUM - 1, Math.max(0, COLUMNS * line + column));
    moved = null;
    showSliders();
    showSample();
  });
  $("back").addEventListener("click", () => { first -= SLIDERS; showSliders(); });
  $("forward").addEventListener("click", () => { first += SLIDERS; showSliders(); });

  let playing = 0;
  const changedShare = () => { showSliders(); showSample(); };
  const stop = () => {
    cancelAnimationFrame(playing);
    playing = 0;
    $("play").textContent = "Play";
  };
  $("share").addEventListener("input", () => { stop(); changedShare(); });
  $("target").addEventListener("change", () => { $("target").value = seedOf("target"); changedShare(); });
  $("play").addEventListener("click", () => {
    if (playing) return stop();
    $("play").textContent = "Pause";
    let before = performance.now(), direction = Number($("share").value) >= 1 ? -1 : 1;
    const step = (now) => {
      // Four seconds there, four seconds back.
      const share = Number($("share").value) + (direction * (now - before)) / 4000;
      before = now;
      if (share >= 1 || share <= 0) direction = share >= 1 ? -1 : 1;
      $("share").value = Math.max(0, Math.min(1, share));
      changedShare();
      playing = requestAnimationFrame(step);
    };
    playing = requestAnimationFrame(step);
  });
  $("save").addEventListener("click", () => $("sample").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `seed-${seedOf("seed")}-${chosen}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }));

  describe(description, size);
  if (sample.text) {
    $("text-row").hidden = false;
    $("text").value = sample.text.examples[0];
    $("text").maxLength = sample.text.max_length;
  } else if (sample.classes) {
    $("class-row").hidden = false;
    $("class").append(...sample.classes.map((name, label) => new Option(name, label)));
  }
  if (sample.kind !== "image") $("sheet").hidden = $("sheet-caption").hidden = true;
  $("app").hidden = false;
  changedSeed();
}

function describe(description, size) {
  const { sample, latent, parity } = description;
  const what = sample.kind === "image"
    ? `images of ${sample.shape[2]} × ${sample.shape[1]} pixels`
    : `curves of ${size} values`;
  document.title = $("title").textContent = description.reference;
  $("about").textContent = `A generator of ${what}, trained on ${description.dataset}. It runs in this page: `
    + `${description.parameters.toLocaleString("en")} parameters, ${[latent.dim, ...latent.grid].join(" × ")} latents. `
    + `A seed gives the samples of ganzoo sample ${description.reference} --seed.`;
  const rows = description.metrics.map((metric) => {
    const line = document.createElement("tr");
    const spread = metric.std === null ? "" : ` ± ${Number(metric.std.toPrecision(2))}`;
    for (const text of [metric.name, `${Number(metric.value.toPrecision(4))}${spread}`, metric.protocol]) {
      line.append(Object.assign(document.createElement("td"), { textContent: text }));
    }
    return line;
  });
  $("metrics").querySelector("tbody").append(...rows);
  $("metrics").hidden = !rows.length;
  $("facts").textContent = `Recipe ${description.recipe}, architecture ${description.architecture}`
    + `${description.license ? `, licence ${description.license}` : ""}. Samples of the file differ from torch's by at most `
    + `${parity.max_difference.toExponential(1)}. Exported with ganzoo ${description.versions.ganzoo}; computed by `
    + `${description.versions.page} (MIT).`;
}

main().catch((error) => {
  $("title").textContent = "Not loaded";
  report(error);
});

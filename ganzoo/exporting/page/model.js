// The generator: export.json and generator.onnx, run by onnxruntime-web.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { noise } from "./random.js";

// One thread needs no special headers from the server, and no script of another kind.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.logLevel = "error";

/** Read the description and the generator. */
export async function loadModel(folder = ".") {
  const [description, session] = await Promise.all([
    readDescription(`${folder}/export.json`),
    ort.InferenceSession.create(`${folder}/generator.onnx`),
  ]);
  let queue = Promise.resolve(); // a session runs one batch at a time

  /** Latents Float32Array [num, ...], a condition (a label, or the numbers of a text) and a seed -> Float32Array. */
  function generate(latents, num, condition, seed) {
    const inputs = {};
    for (const { name, shape } of description.inputs) {
      const sizes = [num, ...shape.slice(1)];
      if (name === "latents") {
        inputs[name] = new ort.Tensor("float32", latents, sizes);
      } else if (name === "labels" || name === "texts") {
        const row = [condition].flat().map(BigInt);
        inputs[name] = new ort.Tensor("int64", BigInt64Array.from({ length: num * row.length }, (_, i) => row[i % row.length]), sizes);
      } else {
        const key = name.slice("noise.".length);
        inputs[name] = new ort.Tensor("float32", noise(key, description.noise[key], num, seed), sizes);
      }
    }
    const result = queue.then(async () => (await session.run(inputs)).samples.data);
    queue = result.catch(() => {});
    return result;
  }

  return { description, generate };
}

async function readDescription(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response.json();
}

/** What the generator gets for a text, as `TextSpec.encode`; null for a text that it does not take. */
export function encodeText(spec, text) {
  const alphabet = [...spec.alphabet], signs = [...text];
  const numbers = signs.map((sign) => 1 + alphabet.indexOf(sign));
  if (signs.length > spec.max_length || numbers.includes(0)) return null;
  return [...numbers, ...Array(spec.max_length - numbers.length).fill(0)];
}

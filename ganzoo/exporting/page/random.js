// The random numbers of `ganzoo sample --seed`: torch's CPU generator, so that a seed means the same samples here.

// SHA-256 (FIPS 180-4) of a text. The browser's own is asynchronous, and absent on pages that are served without https.
function sha256(text) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) >>> 0;
  const K = primes.map((p) => fraction(Math.cbrt(p)));
  const state = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
  const message = new TextEncoder().encode(text);
  const bytes = new Uint8Array(((message.length + 8) >> 6) * 64 + 64);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 4, message.length * 8);
  const rotate = (x, n) => (x >>> n) | (x << (32 - n));
  const w = new Uint32Array(64);
  for (let block = 0; block < bytes.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3)) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [a, b, c, d, e, f, g, h] = [(t1 + t2) | 0, a, b, c, (d + t1) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] = (state[i] + value) >>> 0; });
  }
  return state;
}

// The seed of a named stream, as `ganzoo.randomness.derive_seed`: 63 bits of the hash, of which torch's generator reads
// the lowest 32.
function streamSeed(seed, ...path) {
  const [high, low] = sha256([seed, ...path].join("/"));
  return ((high << 31) | (low >>> 1)) >>> 0;
}

// MT19937 (Matsumoto and Nishimura 1998).
class MersenneTwister {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
    this.next = 624;
  }

  uint32() {
    if (this.next === 624) this.#advance();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  // In [0, 1), of 24 bits, as a float32 has.
  uniform() {
    return (this.uint32() & 0xffffff) / 2 ** 24;
  }

  #advance() {
    const s = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
      s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

// The first `count` numbers of torch.randn, which makes 16 normal numbers of 16 uniform ones (Box and Muller 1958). The
// tensors that ganzoo draws have a multiple of 16 elements.
function normals(source, count) {
  const drawn = new Float32Array(Math.ceil(count / 16) * 16);
  const uniform = new Float32Array(16);
  for (let start = 0; start < count; start += 16) {
    for (let i = 0; i < 16; i++) uniform[i] = source.uniform();
    for (let i = 0; i < 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform[i])), angle = 2 * Math.PI * uniform[i + 8];
      drawn[start + i] = radius * Math.cos(angle);
      drawn[start + i + 8] = radius * Math.sin(angle);
    }
  }
  return drawn.subarray(0, count);
}

const fill = (count, draw) => Float32Array.from({ length: count }, draw);

// The error function: its Taylor series, in double precision and for |x| < 6.
function erf(x) {
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

// Its inverse: Giles's approximation (2012), then two steps of Newton's method.
function erfinv(y) {
  let w = -Math.log((1 - y) * (1 + y)), x;
  if (w < 5) {
    w -= 2.5;
    x = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
      0.246640727, 1.50140941].reduce((sum, c) => sum * w + c) * y;
  } else {
    w = Math.sqrt(w) - 3;
    x = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
      1.00167406, 2.83297682].reduce((sum, c) => sum * w + c) * y;
  }
  for (let i = 0; i < 2; i++) x -= (erf(x) - y) / ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x));
  return x;
}

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

/** The latents of the first `num` samples of a seed: Float32Array [num, dim, ...grid]. At most 64, which is one block. */
export function latents(latent, num, seed) {
  const source = new MersenneTwister(streamSeed(seed, "sample"));
  const points = product(latent.grid), count = num * latent.dim * points;
  if (latent.distribution === "normal") return normals(source, count);
  if (latent.distribution === "categorical") {
    const drawn = new Float32Array(count);
    for (let i = 0; i < num * points; i++) {
      const sample = Math.floor(i / points), point = i % points;
      drawn[(sample * latent.dim + (source.uint32() % latent.dim)) * points + point] = 1;
    }
    return drawn;
  }
  const uniform = fill(count, () => source.uniform() * 2 - 1);
  if (latent.distribution === "uniform") return uniform;
  const bound = latent.truncation, share = erf(Math.min(bound, 8) / Math.SQRT2);
  return uniform.map((x) => Math.max(-bound, Math.min(bound, erfinv(Math.fround(x * share)) * Math.SQRT2)));
}

/** The noise of one name for the first `num` samples of a seed: Float32Array [num, ...shape]. */
export function noise(name, shape, num, seed) {
  return normals(new MersenneTwister(streamSeed(seed, "noise", name)), num * product(shape));
}

/** Between two latents, as `ganzoo.randomness.interpolate_latents`: straight, or along the sphere for normal ones. */
export function between(latent, start, end, share) {
  const straight = start.map((value, i) => value + share * (end[i] - value));
  if (["uniform", "categorical"].includes(latent.distribution)) return straight;
  const [startLength, endLength] = [start, end].map((z) => Math.hypot(...z));
  const cosine = start.reduce((sum, value, i) => sum + (value / startLength) * (end[i] / endLength), 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, cosine)));
  if (!(Math.sin(angle) > 1e-4)) return straight;
  const length = startLength + share * (endLength - startLength);
  const [a, b] = [Math.sin((1 - share) * angle), Math.sin(share * angle)].map((x) => (x * length) / Math.sin(angle));
  const turned = start.map((value, i) => (a * value) / startLength + (b * end[i]) / endLength);
  if (latent.distribution !== "truncated_normal") return turned;
  return turned.map((x) => Math.max(-latent.truncation, Math.min(latent.truncation, x)));
}

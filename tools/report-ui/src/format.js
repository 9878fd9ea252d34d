// Numbers with units, as a person reads them. The program gives us, ns, MB/s, bytes, 1/s, ratio (to be shown in percent),
// count, and others, which stay as they are.

const MINUS = "\u2212";
const SPACE = "\u202f"; // narrow, not broken

const TIME = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];
const BYTES = [
  [1e12, "TB"],
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
  [1, "B"],
];
const COUNTS = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
  [1, ""],
];
const inUnitsOf = (base, list, ending = "") =>
  list.map(([factor, unit]) => ({ factor: factor / base, unit: unit + ending }));
const SCALES = {
  us: inUnitsOf(1e-6, TIME),
  ns: inUnitsOf(1e-9, TIME),
  "MB/s": inUnitsOf(1e6, BYTES, "/s"),
  bytes: inUnitsOf(1, BYTES),
  "1/s": inUnitsOf(1, COUNTS, "/s"),
  ratio: [{ factor: 0.01, unit: "%" }],
  count: inUnitsOf(1, COUNTS),
};

/** The scale that suits a figure: { factor, unit }, to divide by and to write behind. */
export function scaleFor(unit, largest) {
  const scales = SCALES[unit];
  if (!scales) return { factor: 1, unit };
  const size = Math.abs(largest);
  return scales.find((s) => size >= s.factor * 0.9995) ?? scales[scales.length - 1];
}

/** "µs" behind a name: "p99 latency (µs)". */
export function withUnit(label, scale) {
  return scale.unit ? `${label} (${scale.unit})` : label;
}

const superscript = (n) => String(n).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));

function decimalsFor(value, digits) {
  if (value === 0) return 0;
  return Math.max(0, Math.min(6, digits - 1 - Math.floor(Math.log10(Math.abs(value)) + 1e-9)));
}

/** Three or more significant digits; very large and very small ones as powers of ten. */
export function number(value, digits = 3, decimals = decimalsFor(value, digits)) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    return `${mantissa.replace("-", MINUS)}×10${superscript(Number(exponent))}`;
  }
  return value.toFixed(decimals).replace("-", MINUS);
}

/** The mark of an axis: no more digits than it needs. */
export function tick(v) {
  const size = Math.abs(v);
  return size !== 0 && (size < 1e-4 || size >= 1e7) ? number(v, 2) : String(Number(v.toPrecision(6))).replace("-", MINUS);
}

const behind = (unit) => (unit === "" || /^[kMGT]$/.test(unit) ? unit : SPACE + unit);

/** "13.9 µs", "2.11 M/s", "61.5 %" */
export function value(mean, unit, scale = scaleFor(unit, mean)) {
  if (mean === null || mean === undefined) return "–";
  return number(mean / scale.factor) + behind(scale.unit);
}

/** "13.88 ± 0.12 µs"; without an interval just the value. */
export function interval(mean, half, unit, scale = scaleFor(unit, mean)) {
  if (mean === null || mean === undefined) return "–";
  if (half === null || half === undefined) return value(mean, unit, scale);
  const m = mean / scale.factor;
  const h = half / scale.factor;
  const tiny = Math.abs(m) !== 0 && (Math.abs(m) < 1e-3 || Math.abs(m) >= 1e7);
  const decimals = decimalsFor(m, 4);
  const rounds = h !== 0 && h < 0.5 * 10 ** -decimals;
  const text =
    h === 0 ? "0" : tiny ? number(h, 2) : rounds ? `<${SPACE}${(10 ** -decimals).toFixed(decimals)}` : h.toFixed(decimals);
  return `${number(m, 4)} ± ${text}${behind(scale.unit)}`;
}

/** A change in parts of one: "+12.3 %", "−4.0 %", "0 %". */
export function change(ratio) {
  if (ratio === null || !Number.isFinite(ratio)) return "–";
  const percent = ratio * 100;
  const text = Math.abs(percent) >= 1000 ? number(percent, 3) : percent.toFixed(Math.abs(percent) >= 100 ? 0 : 1);
  if (/^-?0\.0$/.test(text)) return percent === 0 ? "0 %" : `${percent < 0 ? MINUS : "+"}<0.1 %`;
  return `${percent > 0 ? "+" : ""}${text.replace("-", MINUS)} %`.replace(" ", SPACE);
}

/** Characters that are not seen, or turn the order of those behind them, are written out. */
export function visible(text) {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { change, interval, number, scaleFor, tick, value, visible } from "../../../../tools/report-ui/src/format.js";

const plain = (text) => text.replaceAll("\u202f", " ").replaceAll("\u2212", "-");

for (const [mean, unit, expected] of [
  [13.876, "us", "13.9 µs"],
  [0.0134, "us", "13.4 ns"],
  [1234.5, "us", "1.23 ms"],
  [2.5e6, "us", "2.50 s"],
  [0, "us", "0 ns"],
  [8690, "ns", "8.69 µs"],
  [2112073, "1/s", "2.11 M/s"],
  [950, "1/s", "950 /s"],
  [8651.05, "MB/s", "8.65 GB/s"],
  [0.5, "MB/s", "500 kB/s"],
  [4668, "bytes", "4.67 kB"],
  [0.615, "ratio", "61.5 %"],
  [0.108, "", "0.108"],
  [291, "cycles", "291 cycles"],
  [1e12, "count", "1.00T"],
  [null, "us", "–"],
  [3.2e-9, "", "3.20×10⁻⁹"],
  [-4.5e12, "", "-4.50×10¹²"],
  [1e300, "us", "1.00×10²⁹⁴ s"],
  [5e-324, "us", "4.94×10⁻³²¹ ns"],
])
  test(`value ${mean} ${unit}`, () => assert.equal(plain(value(mean, unit)), expected));

for (const [mean, half, unit, expected] of [
  [13.876, 0.123, "us", "13.88 ± 0.12 µs"],
  [13.876, null, "us", "13.9 µs"],
  [13.876, 0, "us", "13.88 ± 0 µs"],
  [13.876, 1e-6, "us", "13.88 ± < 0.01 µs"],
  [0.5, 0.01, "ratio", "50.00 ± 1.00 %"],
  [null, null, "us", "–"],
  [2e-9, 1e-10, "", "2.000×10⁻⁹ ± 1.0×10⁻¹⁰"],
])
  test(`interval ${mean} ± ${half} ${unit}`, () => assert.equal(plain(interval(mean, half, unit)), expected));

for (const [ratio, expected] of [
  [0.123, "+12.3 %"],
  [-0.04, "-4.0 %"],
  [0, "0 %"],
  [1e-6, "+<0.1 %"],
  [-1e-6, "-<0.1 %"],
  [2.5, "+250 %"],
  [123.4, "+12340 %"],
  [null, "–"],
  [Infinity, "–"],
])
  test(`change ${ratio}`, () => assert.equal(plain(change(ratio)), expected));

test("a scale is chosen by the largest figure of a picture", () => {
  assert.equal(scaleFor("us", 900).unit, "µs");
  assert.equal(scaleFor("us", 1500).unit, "ms");
  assert.equal(scaleFor("us", 0).unit, "ns");
  assert.equal(scaleFor("furlong", 12).unit, "furlong");
});

test("what cannot be seen is written out", () => {
  assert.equal(visible("a\u202eb\nc\u0000d\u200be"), "a\\u202eb\\u000ac\\u0000d\\u200be");
  assert.equal(visible("é × µs 漢 \ud83d\ude00"), "é × µs 漢 \ud83d\ude00");
});

test("marks of axes have no more digits than they need", () => {
  assert.deepEqual([0, 0.3, 12.5, 0.1 + 0.2, 1500000].map(tick), ["0", "0.3", "12.5", "0.3", "1500000"]);
  assert.equal(number(NaN), "–");
});

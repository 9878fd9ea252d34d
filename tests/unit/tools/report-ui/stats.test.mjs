// The page's own arithmetic against definitions spelled out another way, and numbers worked out by hand.

import assert from "node:assert/strict";
import { test } from "node:test";

import { knee, paretoFront, rangesOf } from "../../../../tools/report-ui/src/stats.js";

/** Xorshift, so that a failure repeats. */
function random(seed) {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

test("pareto front: lower is better in both", () => {
  const points = [
    [1, 5],
    [2, 3],
    [3, 3],
    [4, 1],
    [5, 2],
    [2, 6],
  ];
  assert.deepEqual(paretoFront(points), [0, 1, 3]);
});

test("pareto front: each direction of better", () => {
  const points = [
    [1, 1],
    [1, 9],
    [9, 1],
    [9, 9],
    [5, 5],
  ];
  assert.deepEqual(paretoFront(points, "less", "less"), [0]);
  assert.deepEqual(paretoFront(points, "more", "less"), [2]);
  assert.deepEqual(paretoFront(points, "less", "more"), [1]);
  assert.deepEqual(paretoFront(points, "more", "more"), [3]);
});

test("pareto front: equal points are on it together; one point is its own front; none has none", () => {
  assert.deepEqual(
    paretoFront([
      [1, 1],
      [1, 1],
      [2, 2],
    ]),
    [0, 1],
  );
  assert.deepEqual(paretoFront([[7, 7]]), [0]);
  assert.deepEqual(paretoFront([]), []);
});

test("pareto front: random points, against the definition", () => {
  const next = random(20240607);
  const beats = (a, b) => a[0] <= b[0] && a[1] <= b[1] && (a[0] < b[0] || a[1] < b[1]);
  for (let round = 0; round < 200; round++) {
    const points = Array.from({ length: 1 + Math.floor(next() * 60) }, () => [
      Math.floor(next() * 20),
      Math.floor(next() * 20),
    ]);
    const expected = points.map((_, i) => i).filter((i) => !points.some((p) => beats(p, points[i])));
    assert.deepEqual(
      paretoFront(points).sort((a, b) => a - b),
      expected,
    );
  }
});

// An M/M/1 queue's mean time is 1 / (1 - load): Kleinrock's result is that its power is greatest at half load.
test("knee of M/M/1 lies at half load", () => {
  const loads = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);
  const found = knee(loads.map((load) => [load, 1 / (1 - load)]));
  assert.equal(loads[found.index], 0.5);
  assert.equal(found.end, null);
});

test("knee at an end of the range is said to be so", () => {
  assert.deepEqual(
    knee([
      [1, 10],
      [2, 10],
      [3, 10],
    ]),
    { index: 2, end: "last" },
  );
  assert.deepEqual(
    knee([
      [3, 10],
      [3, 20],
      [3, 30],
    ]),
    { index: 0, end: "first" },
  );
});

test("knee needs three loads and latencies above zero", () => {
  assert.equal(
    knee([
      [1, 1],
      [2, 2],
    ]),
    null,
  );
  assert.equal(
    knee([
      [1, 0],
      [2, 0],
      [3, 0],
    ]),
    null,
  );
});

test("ranges hold about equally many points, in order", () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i * i);
  const ranges = rangesOf(
    numbers,
    numbers.map(() => 1),
    10,
  );
  assert.deepEqual([...new Set(ranges)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (let r = 0; r < 10; r++) assert.equal(ranges.filter((x) => x === r).length, 10);
  assert.deepEqual(
    [...ranges].sort((a, b) => a - b),
    ranges,
  );
});

test("ranges: a value that most points have leaves no range empty", () => {
  const ranges = rangesOf([1, 2, 3], [98, 1, 1], 10);
  assert.deepEqual(ranges, [0, 1, 1]);
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { levelOf, makeModel, marksOf, nameOf } from "../../../../tools/report-ui/src/model.js";
import { conditionOf } from "../../../../tools/report-ui/src/table.js";

const page = (values, extra = {}) => ({
  title: "t",
  seeds: [1],
  confidence: 95,
  metrics: [],
  baseline: null,
  recommendation: null,
  axes: [{ name: "a.b", values }],
  points: values.map((_, i) => ({
    at: [i],
    mean: [],
    half: [],
    number: 10 + i,
    command: "c ",
    runs: [{ seed: 1, tail: "1" }],
  })),
  ...extra,
});

test("an axis of few values, or of words, keeps its values as levels", () => {
  assert.deepEqual(makeModel(page(["4", "16", "1"])).axes[0].levels, ["1", "4", "16"]);
  const words = Array.from({ length: 30 }, (_, i) => `w${i}`);
  assert.equal(makeModel(page(words)).axes[0].levels.length, 30);
});

test("an axis of many numbers becomes ten ranges, each point in the one that holds its value", () => {
  const model = makeModel(page(Array.from({ length: 100 }, (_, i) => String((i * 37) % 100))));
  const [axis] = model.axes;
  assert.equal(axis.levels.length, 10);
  assert.equal(axis.levels[0], "0 … 9");
  for (const point of model.points) {
    const [from, to] = axis.levels[levelOf(axis, point)].split(" … ").map(Number);
    const number = Number(axis.values[point.at[0]]);
    assert.ok(number >= from && number <= to, `${number} in ${from} … ${to}`);
  }
});

test("numbers are put in order, each point keeping its value; commands are put together", () => {
  const model = makeModel(page(["4", "16", "1"]));
  assert.deepEqual(
    model.points.map((point) => levelOf(model.axes[0], point)),
    [1, 2, 0],
  );
  assert.equal(model.points[0].runs[0].command, "c 1");
});

test("points are named by their axes and marked by what they are", () => {
  const model = makeModel(page(["1", "2"], { baseline: 0, recommendation: { best: 0, ties: [1] } }));
  assert.equal(nameOf(model, model.points[1]), "a.b=2");
  assert.deepEqual(marksOf(model, model.points[0]), ["recommended", "baseline"]);
  assert.deepEqual(marksOf(model, model.points[1]), ["tied with it"]);
  assert.equal(nameOf(makeModel({ ...page(["1"]), axes: [] }), model.points[0]), "the only point");
});

for (const [asked, shown, number, expected] of [
  [">5", "5.1", 5.1, true],
  [">5", "5", 5, false],
  ["<= 3.5", "3.5", 3.5, true],
  [">=1e3", "1000", 1000, true],
  ["4..8", "8", 8, true],
  ["4..8", "8.1", 8.1, false],
  ["=on", "on", NaN, true],
  ["=on", "none", NaN, false],
  ["o", "on", NaN, true],
  ["ON", "on", NaN, true],
  [">x", "5", 5, false],
  [">", "5", 5, false],
  [">5", "–", NaN, false],
  ["=4", "4", 4, true],
  ["-2..-1", "-1.5", -1.5, true],
])
  test(`condition ${asked} of ${shown}`, () => assert.equal(conditionOf(asked)(shown, number), expected));

test("no condition asks nothing", () => assert.equal(conditionOf("  "), null));

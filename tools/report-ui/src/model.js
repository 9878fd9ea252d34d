// The data of the page (host-sim/sweep/report_html.h has its form), made convenient: axes with levels, points with values.

import { visible } from "./format.js";
import { rangesOf } from "./stats.js";

const LEVELS_MAX = 20; // an axis with more values is shown in ranges

const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));

function makeAxis(raw, index, points) {
  const numeric = raw.values.every(isNumber);
  const uses = raw.values.map((_, v) => points.filter((p) => p.at[index] === v).length);
  const axis = {
    index,
    name: raw.name,
    load: raw.load,
    values: raw.values,
    numeric,
    ranges: false,
    levels: [],
    levelOfValue: [],
  };
  const order = raw.values.map((_, v) => v);
  if (numeric) order.sort((a, b) => Number(raw.values[a]) - Number(raw.values[b]));
  if (!numeric || raw.values.length <= LEVELS_MAX) {
    order.forEach((v, level) => {
      axis.levels[level] = raw.values[v];
      axis.levelOfValue[v] = level;
    });
    return axis;
  }
  const range = rangesOf(
    order.map((v) => Number(raw.values[v])),
    order.map((v) => uses[v]),
    LEVELS_MAX / 2,
  );
  axis.ranges = true;
  order.forEach((v, i) => {
    const level = range[i];
    axis.levelOfValue[v] = level;
    const from = axis.levels[level]?.split(" … ")[0] ?? raw.values[v];
    axis.levels[level] = from === raw.values[v] ? from : `${from} … ${raw.values[v]}`;
  });
  return axis;
}

export function makeModel(data) {
  const model = { ...data };
  const axes = data.axes.map((axis) => ({ ...axis, name: visible(axis.name), values: axis.values.map(visible) }));
  model.axes = axes.map((axis, i) => makeAxis(axis, i, data.points));
  model.title = visible(data.title ?? "sweep");
  model.metrics = data.metrics.map((metric, index) => ({ ...metric, index }));
  model.points = data.points.map((point, id) => ({
    ...point,
    id,
    runs: point.runs.map((run) => ({ ...run, error: run.error && visible(run.error), command: point.command + run.tail })),
  }));
  model.best = data.recommendation?.best ?? null;
  model.ties = new Set(data.recommendation?.ties ?? []);
  return model;
}

export const isFailed = (point) => point.runs.every((run) => run.error);

/** Points that gave figures. */
export const measured = (model) => model.points.filter((p) => !isFailed(p));

export const ofRole = (model, ...roles) => model.metrics.filter((m) => roles.includes(m.role));
export const metricNamed = (model, name) => model.metrics.find((m) => m.name === name);

export const valueOf = (axis, point) => axis.values[point.at[axis.index]];
export const levelOf = (axis, point) => axis.levelOfValue[point.at[axis.index]];

/** "notify.holdoff_ns=4000 · job.iodepth=8", of some or all axes. */
export function nameOf(model, point, axes = model.axes) {
  const parts = axes.map((axis) => `${axis.name}=${valueOf(axis, point)}`);
  return parts.length ? parts.join(" · ") : "the only point";
}

export function marksOf(model, point) {
  const marks = [];
  if (point.id === model.best) marks.push("recommended");
  if (model.ties.has(point.id)) marks.push("tied with it");
  if (point.id === model.baseline) marks.push("baseline");
  return marks;
}

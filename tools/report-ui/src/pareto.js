// Pareto fronts: what a lower tail costs in doorbells, interrupts or the core's time.

import { Chart, errorBars, isNarrow, targetsOf, valueAxis } from "./chart.js";
import { check, choice, el } from "./dom.js";
import { plural, scaleFor, tick, withUnit } from "./format.js";
import { levelOf, measured, nameOf } from "./model.js";
import { tipOf } from "./point.js";
import { paretoFront } from "./stats.js";
import { SYMBOLS, theme } from "./theme.js";

const PRESETS = [
  ["doorbells_per_io", "p99_us"],
  ["core_load", "p99_us"],
  ["interrupts_per_io", "p99_us"],
];

export function axisScale(metric, values) {
  const scale = scaleFor(metric.unit, Math.max(0, ...values.map(Math.abs)));
  return { ...scale, tick, to: (v) => v / scale.factor, title: withUnit(metric.label, scale) };
}

export const ends = (scale, mean, half) =>
  half === null || half === undefined ? [NaN, NaN] : [scale.to(mean - half), scale.to(mean + half)];

export function paretoSection(app) {
  const { model } = app;
  const metrics = model.metrics.filter((m) => m.better && ["throughput", "latency", "cost", "utilisation"].includes(m.role));
  const options = metrics.map((m) => [String(m.index), m.label]);
  const indexOf = (name) => metrics.find((m) => m.name === name)?.index;
  const presets = PRESETS.filter((pair) => pair.every((name) => indexOf(name) !== undefined));
  const first = presets[0]?.map(indexOf) ?? [metrics[0]?.index, (metrics[1] ?? metrics[0])?.index];

  const x = choice("Across", options, String(first[0]), draw);
  const y = choice("Up", options, String(first[1]), draw);
  const colour = choice(
    "Colour and shape by",
    [["", "nothing"], ...model.axes.filter((a) => a.levels.length > 1).map((a) => [String(a.index), a.name])],
    String(model.axes.find((a) => a.levels.length > 1)?.index ?? ""),
    draw,
  );
  const bars = check("Confidence intervals", model.points.length <= 100, draw);
  const logX = check("Log across", false, draw);
  const logY = check("Log up", false, draw);
  const quick = presets.map((pair) =>
    el(
      "button",
      {
        type: "button",
        class: "chip",
        onclick: () => {
          x.set(options, String(indexOf(pair[0])));
          y.set(options, String(indexOf(pair[1])));
          draw();
        },
      },
      `${model.metrics[indexOf(pair[0])].label} – ${model.metrics[indexOf(pair[1])].label}`,
    ),
  );
  const chart = new Chart("Pareto front", {
    onpoint: app.select,
    tip: (id) => tipOf(model, model.points[id], [model.metrics[x.value], model.metrics[y.value]]),
  });
  const front = el("p", { class: "note" });

  /** What is drawn: the points that have both figures, their scales, and which of them are on the front. */
  function sceneOf(all) {
    const mx = model.metrics[x.value];
    const my = model.metrics[y.value];
    const points = all.filter((p) => p.mean[mx.index] !== null && p.mean[my.index] !== null);
    const sx = axisScale(
      mx,
      points.map((p) => p.mean[mx.index]),
    );
    const sy = axisScale(
      my,
      points.map((p) => p.mean[my.index]),
    );
    const at = (p) => [sx.to(p.mean[mx.index]), sy.to(p.mean[my.index])];
    const front = paretoFront(points.map(at), mx.better, my.better).map((i) => points[i]);
    const axis = model.axes[colour.value];
    const groups = axis
      ? axis.levels.map((text, level) => ({ name: `${text}`, points: points.filter((p) => levelOf(axis, p) === level) }))
      : [{ name: "points", points }];
    return { mx, my, sx, sy, at, points, front, axis, groups, look: theme() };
  }

  function frontSeries({ mx, at, front, look }) {
    return {
      name: "Pareto front",
      type: "line",
      step: mx.better === "more" ? "start" : "end",
      data: front.map(at),
      symbol: "none",
      silent: true,
      z: 2,
      lineStyle: { color: look.text, width: 1.5, type: [6, 3] },
      itemStyle: { color: look.text },
    };
  }

  function pointSeries({ at, front, groups, axis, look }) {
    const isFront = new Set(front);
    const colours = look.series(groups.length, axis?.numeric);
    return groups.map((group, g) => ({
      name: group.name,
      type: "scatter",
      symbol: SYMBOLS[g % SYMBOLS.length],
      itemStyle: { color: colours[g] },
      z: 3,
      data: group.points.map((p) => ({
        value: at(p),
        point: p.id,
        symbolSize: isFront.has(p) ? 13 : 8,
        itemStyle: isFront.has(p) ? { borderColor: look.text, borderWidth: 1.5 } : { opacity: 0.55 },
      })),
    }));
  }

  function intervalSeries({ mx, my, sx, sy, at, points, look }) {
    const items = points.map((p) => [
      ...at(p),
      ...ends(sx, p.mean[mx.index], p.half[mx.index]),
      ...ends(sy, p.mean[my.index], p.half[my.index]),
    ]);
    return errorBars(items, look.muted, { name: "intervals" });
  }

  /** A ring with a name around the baseline and the recommended point. */
  function ringSeries({ at, points, look }) {
    const named = [
      [model.baseline, "baseline", "top"],
      [model.best, "recommended", "bottom"],
    ];
    return named
      .map(([id, text, position]) => ({ p: points.find((p) => p.id === id), text, position }))
      .filter(({ p }) => p)
      .map(({ p, text, position }) => ({
        name: text,
        type: "scatter",
        silent: true,
        z: 4,
        symbol: "circle",
        symbolSize: 20,
        data: [{ value: at(p) }],
        labelLayout: { hideOverlap: true },
        itemStyle: { color: "transparent", borderColor: look.text, borderWidth: 2 },
        label: {
          show: true,
          formatter: () => text,
          position,
          color: look.text,
          fontWeight: 600,
          textBorderColor: look.card,
          textBorderWidth: 3,
        },
      }));
  }

  function captionOf({ mx, my, points, front, axis }, missing) {
    return (
      `${plural(points.length, "point")}, ${front.length} on the front (large, outlined): none of the others is ${mx.better === "more" ? "higher" : "lower"} in ` +
      `${mx.label} without being worse in ${my.label}, by the means over seeds.${axis ? ` Colour and shape: ${axis.name}.` : ""}` +
      (missing ? ` ${plural(missing, "point")} without these figures left out.` : "")
    );
  }

  function draw() {
    front.textContent = "";
    if (metrics.length === 0) return chart.draw({}, { empty: "No figure of this sweep can be compared." });
    const all = app.visible();
    const scene = sceneOf(all);
    const { mx, my, sx, sy, points, axis, look } = scene;
    if (points.length === 0) return chart.draw({}, { empty: "No point that is shown has both figures." });
    const log = (box, metric) =>
      box.checked && points.every((p) => p.mean[metric.index] > 0) ? { type: "log", minorSplitLine: { show: false } } : {};
    const series = [
      frontSeries(scene),
      ...pointSeries(scene),
      ...(bars.checked ? [intervalSeries(scene)] : []),
      ...ringSeries(scene),
    ];
    chart.draw(
      {
        grid: { right: 24 },
        legend: { data: [...(axis ? scene.groups.map((g) => g.name) : []), "Pareto front"] },
        xAxis: valueAxis(look, sx.title, sx, log(logX, mx)),
        yAxis: valueAxis(look, sy.title, sy, { nameGap: isNarrow() ? 42 : 50, ...log(logY, my) }),
        tooltip: {
          trigger: "item",
          formatter: (item) => (Number.isInteger(item.data?.point) ? chart.tip(item.data.point) : ""),
        },
        series,
      },
      {
        targets: targetsOf(series).sort((a, b) => a.value[0] - b.value[0]),
        caption: captionOf(scene, all.length - points.length),
      },
    );
    if (scene.front.length <= 12 && model.axes.length)
      front.textContent = `On the front: ${scene.front.map((p) => nameOf(model, p)).join(" | ")}`;
  }

  return {
    id: "pareto",
    title: "Pareto fronts",
    lead: "What a better figure costs in another. Points on the dashed line are the only ones worth choosing, as far as these two figures go.",
    hidden: measured(model).length === 0,
    nodes: [
      quick.length > 1 && el("div", { class: "chips" }, quick),
      el("div", { class: "controls" }, x.node, y.node, colour.node, bars.node, logX.node, logY.node),
      chart.node,
      front,
    ],
    draw,
  };
}

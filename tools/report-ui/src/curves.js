// Throughput-latency curves: each is followed along one axis (the load), one curve a value of another.

import { Chart, errorBars, isNarrow, valueAxis } from "./chart.js";
import { check, choice, el } from "./dom.js";
import { value } from "./format.js";
import { levelOf, measured, ofRole } from "./model.js";
import { axisScale, ends } from "./pareto.js";
import { onlyPoint, tipOf, tipOfMany } from "./point.js";
import { Rest, emptyText } from "./rest.js";
import { AGGREGATES, knee } from "./stats.js";
import { DASHES, SYMBOLS, theme } from "./theme.js";

const SIDES = ["right", "left", "bottom", "top"]; // of a knee's label, in turn

/** Points at the places of an axis, in its order: [{ level, points }], empty places left out. */
export function along(axis, points) {
  if (!axis) return points.length ? [{ level: 0, points }] : [];
  return axis.levels
    .map((_, level) => ({ level, points: points.filter((p) => levelOf(axis, p) === level) }))
    .filter((place) => place.points.length);
}

export const meanOver = (points, metric) => AGGREGATES.mean(points.map((p) => p.mean[metric.index]));

export function loadAxis(model) {
  const several = model.axes.filter((axis) => axis.levels.length > 1);
  return (
    several.find((axis) => axis.load) ??
    several.filter((axis) => axis.numeric).sort((a, b) => b.levels.length - a.levels.length)[0] ??
    several[0]
  );
}

export function curvesSection(app) {
  const { model } = app;
  const throughputs = ofRole(model, "throughput");
  const latencies = ofRole(model, "latency");
  const several = model.axes.filter((axis) => axis.levels.length > 1);
  const load = loadAxis(model);
  const other = several.find((axis) => axis !== load && axis.levels.length <= 8);
  const axes = several.map((axis) => [String(axis.index), axis.name]);
  const rest = new Rest(model, () => draw());
  const x = choice(
    "Throughput",
    throughputs.map((m) => [String(m.index), m.label]),
    undefined,
    () => draw(),
  );
  const y = choice(
    "Latency",
    latencies.map((m) => [String(m.index), m.label]),
    String(latencies.find((m) => m.name === "p99_us")?.index),
    () => draw(),
  );
  const axis = choice("Follow along", axes, String(load?.index), () => draw());
  const by = choice("One curve for each", [["", "(one curve)"], ...axes], String(other?.index ?? ""), () => draw());
  const bars = check("Confidence intervals", true, () => draw());
  const logY = check("Log latency", false, () => draw());
  const chart = new Chart("Throughput and latency", {
    onpoint: app.select,
    tip: (id) => tipOf(model, model.points[id], shownMetrics()),
  });
  const told = el("ul", { class: "note" });
  const shownMetrics = () => [model.metrics[x.value], model.metrics[y.value]].filter(Boolean);

  function curvesOf(loads, groups, points, mx, my) {
    const lists = groups ? along(groups, points) : [{ level: 0, points }];
    return lists.map(({ level, points: own }) => ({
      name: groups ? `${groups.levels[level]}` : "all",
      level,
      places: along(loads, own).map((place) => ({ ...place, x: meanOver(place.points, mx), y: meanOver(place.points, my) })),
    }));
  }

  function sceneOf(mx, my, loads, groups, points) {
    const sx = axisScale(
      mx,
      points.map((p) => p.mean[mx.index]),
    );
    const sy = axisScale(
      my,
      points.map((p) => p.mean[my.index]),
    );
    const curves = curvesOf(loads, groups, points, mx, my).map((curve) => ({
      ...curve,
      knee: knee(curve.places.map((p) => [p.x, p.y])),
    }));
    const look = theme();
    return { mx, my, sx, sy, loads, groups, points, curves, look, colours: look.series(curves.length, groups?.numeric) };
  }

  function lineSeries({ sx, sy, curves, colours }) {
    return curves.map((curve, c) => ({
      name: curve.name,
      type: "line",
      symbol: SYMBOLS[c % SYMBOLS.length],
      symbolSize: 8,
      showAllSymbol: true,
      z: 3,
      lineStyle: { color: colours[c], width: 2, type: DASHES[c % DASHES.length] },
      itemStyle: { color: colours[c] },
      data: curve.places.map((place, i) => ({
        value: [sx.to(place.x), sy.to(place.y)],
        point: onlyPoint(place.points),
        place: i,
        curve: c,
      })),
    }));
  }

  function intervalSeries({ mx, my, sx, sy, curves, colours }) {
    return curves.map((curve, c) => {
      const single = curve.places.filter((place) => place.points.length === 1);
      const items = single.map(({ x: px, y: py, points: [p] }) => [
        sx.to(px),
        sy.to(py),
        ...ends(sx, px, p.half[mx.index]),
        ...ends(sy, py, p.half[my.index]),
      ]);
      return errorBars(items, colours[c], { name: curve.name });
    });
  }

  function kneeSeries({ sx, sy, loads, curves, look }) {
    const data = curves
      .filter((curve) => curve.knee && !curve.knee.end)
      .map((curve, i) => {
        const place = curve.places[curve.knee.index];
        return {
          value: [sx.to(place.x), sy.to(place.y)],
          name: loads.levels[place.level],
          label: { position: SIDES[i % SIDES.length] },
        };
      });
    return {
      name: "knee",
      type: "scatter",
      silent: true,
      z: 4,
      symbol: "circle",
      symbolSize: 18,
      data,
      labelLayout: { hideOverlap: true },
      itemStyle: { color: "transparent", borderColor: look.text, borderWidth: 2 },
      label: {
        show: true,
        color: look.text,
        fontWeight: 600,
        formatter: (item) => `knee at ${item.name}`,
        textBorderColor: look.card,
        textBorderWidth: 3,
      },
    };
  }

  function targetsIn({ curves, loads, mx, my }) {
    return curves.flatMap((curve, seriesIndex) =>
      curve.places.map((place, dataIndex) => ({
        seriesIndex,
        dataIndex,
        point: onlyPoint(place.points),
        text:
          place.points.length === 1
            ? undefined
            : `${curve.name}, ${loads?.levels[place.level] ?? ""}: ${value(place.x, mx.unit)}, ${value(place.y, my.unit)}`,
      })),
    );
  }

  function draw() {
    const [mx, my] = shownMetrics();
    const loads = model.axes[axis.value];
    const groups = by.value === axis.value ? undefined : model.axes[by.value];
    rest.show([loads, groups].filter(Boolean).map((a) => a.index));
    told.replaceChildren();
    if (!mx || !my) return chart.draw({}, { empty: "The sweep has no figures of throughput and latency." });
    const points = app.visible().filter((p) => rest.holds(p) && p.mean[mx.index] !== null && p.mean[my.index] !== null);
    if (points.length === 0) return chart.draw({}, { empty: emptyText(rest) });
    const scene = sceneOf(mx, my, loads, groups, points);
    const { sx, sy, curves, look } = scene;
    const knees = kneeSeries(scene);
    const log = logY.checked && points.every((p) => p.mean[my.index] > 0);
    chart.draw(
      {
        grid: { right: 70 },
        legend: { data: [...(groups ? curves.map((c) => c.name) : []), ...(knees.data.length ? ["knee"] : [])] },
        xAxis: valueAxis(look, sx.title, sx, { scale: false, min: 0 }),
        yAxis: valueAxis(look, sy.title, sy, {
          nameGap: isNarrow() ? 42 : 50,
          ...(log ? { type: "log" } : { scale: false, min: 0 }),
        }),
        tooltip: { trigger: "item", formatter: (item) => tipFor(scene, item) },
        series: [...lineSeries(scene), ...(bars.checked ? intervalSeries(scene) : []), knees],
      },
      { targets: targetsIn(scene), caption: captionFor(loads, groups) },
    );
    told.append(...curves.map((curve) => el("li", {}, kneeText(scene, curve))));
  }

  function tipFor({ curves, loads, mx, my }, item) {
    const place = curves[item.data?.curve]?.places[item.data.place];
    if (!place) return "";
    if (place.points.length === 1) return tipOf(model, place.points[0], [mx, my]);
    const rows = [
      [mx.label, value(place.x, mx.unit)],
      [my.label, value(place.y, my.unit)],
    ];
    return tipOfMany(
      model,
      `Mean of several points at ${loads ? `${loads.name}=${loads.levels[place.level]}` : "all"}`,
      rows,
      place.points,
    );
  }

  function kneeText({ groups, loads, mx, my }, curve) {
    const k = curve.knee;
    const name = groups ? `${groups.name}=${curve.name}: ` : "";
    if (!k)
      return `${name}no knee can be told from ${curve.places.length < 3 ? "fewer than three loads" : "these figures"}.`;
    const place = curve.places[k.index];
    const where = `${loads.name}=${loads.levels[place.level]}, ${value(place.x, mx.unit)} at ${value(place.y, my.unit)}`;
    if (k.end === "first")
      return `${name}no knee within the range: already its first load (${where}) has the greatest power.`;
    if (k.end === "last") return `${name}no knee within the range: power still grows at its last load (${where}).`;
    return `${name}knee at ${where}.`;
  }

  function captionFor(loads, groups) {
    const several = rest.free().length > 0;
    return (
      `Each curve follows ${loads?.name ?? "the points"}${groups ? `, one for each ${groups.name}` : ""}${rest.text() ? `; ${rest.text()}` : ""}.` +
      (several ? " Places with several points show their mean, without interval." : "") +
      " Knee: the load with the greatest power, throughput / latency (Kleinrock 1979): there a line from the origin touches the curve."
    );
  }

  return {
    id: "curves",
    title: "Throughput and latency",
    lead: "How far the load can go up before latency does. The knee is where more load begins to cost more than it brings.",
    hidden: measured(model).length === 0,
    nodes: [
      el("div", { class: "controls" }, x.node, y.node, axis.node, by.node, bars.node, logY.node),
      rest.node,
      chart.node,
      told,
    ],
    draw,
  };
}

// A heat map over two axes; cells that stand for several points say how they were put together.

import { Chart, categoryAxis, isNarrow, sideGap } from "./chart.js";
import { choice, el } from "./dom.js";
import { number, plural, value } from "./format.js";
import { levelOf } from "./model.js";
import { axisScale } from "./pareto.js";
import { onlyPoint, tipOf, tipOfMany } from "./point.js";
import { Rest, emptyText } from "./rest.js";
import { AGGREGATES } from "./stats.js";
import { heatColour, inkOn, theme } from "./theme.js";

const ROW_PX = 34;

export function heatmapSection(app) {
  const { model } = app;
  const several = model.axes.filter((axis) => axis.levels.length > 1);
  const axes = several.map((axis) => [String(axis.index), axis.name]);
  const order = [...several].sort((a, b) => b.levels.length - a.levels.length);
  const metrics = model.metrics.filter((m) => m.role !== "other");
  const rest = new Rest(model, () => draw());
  const x = choice("Across", axes, String(order[0]?.index), () => draw());
  const y = choice("Up", axes, String(order[1]?.index), () => draw());
  const metric = choice(
    "Figure",
    metrics.map((m) => [String(m.index), m.label]),
    String(metrics.find((m) => m.name === "p99_us")?.index),
    () => draw(),
  );
  const how = choice(
    "Cells with several points show their",
    Object.keys(AGGREGATES).map((name) => [name, name]),
    "mean",
    () => draw(),
  );
  const chart = new Chart("Heat map", {
    onpoint: app.select,
    tip: (id) => tipOf(model, model.points[id], [model.metrics[metric.value]]),
  });

  function cellsOf(ax, ay, m) {
    const points = app.visible().filter((p) => rest.holds(p) && p.mean[m.index] !== null);
    const cells = [];
    ay.levels.forEach((_, row) =>
      ax.levels.forEach((_, column) => {
        const own = points.filter((p) => levelOf(ax, p) === column && levelOf(ay, p) === row);
        if (own.length)
          cells.push({ column, row, points: own, mean: AGGREGATES[how.value](own.map((p) => p.mean[m.index])) });
      }),
    );
    return cells;
  }

  /** The cells with the colours they get; the best one last, so that its outline lies over its neighbours. */
  function sceneOf(ax, ay, m) {
    const cells = cellsOf(ax, ay, m);
    const scale = axisScale(
      m,
      cells.map((c) => c.mean),
    );
    const values = cells.map((c) => scale.to(c.mean));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const best = m.better ? (m.better === "more" ? high : low) : null;
    const isBest = (cell) => scale.to(cell.mean) === best;
    cells.sort((a, b) => isBest(a) - isBest(b));
    return { ax, ay, m, cells, scale, low, high, best, isBest, look: theme() };
  }

  function cellSeries({ ax, cells, scale, low, high, isBest, look }) {
    const data = cells.map((cell) => {
      const v = scale.to(cell.mean);
      return {
        value: [cell.column, cell.row, v],
        point: onlyPoint(cell.points),
        label: { color: inkOn(heatColour(high > low ? (v - low) / (high - low) : 0.5)) },
        itemStyle: isBest(cell) ? { borderColor: look.text, borderWidth: 3 } : { borderColor: look.card, borderWidth: 1 },
      };
    });
    const label = {
      show: ax.levels.length <= (isNarrow() ? 8 : 24),
      formatter: (item) => number(item.value[2]),
      fontSize: isNarrow() ? 10 : 12,
    };
    return { type: "heatmap", data, label, emphasis: { itemStyle: { borderColor: look.accent, borderWidth: 2 } } };
  }

  function colourScale({ low, high, look }) {
    return {
      type: "continuous",
      min: low,
      max: high > low ? high : low + 1,
      orient: "horizontal",
      left: "center",
      top: 0,
      calculable: !isNarrow(),
      dimension: 2,
      itemWidth: 14,
      itemHeight: isNarrow() ? 130 : 220,
      inRange: { color: look.heat },
      textStyle: { color: look.text },
      text: isNarrow() ? [number(high), number(low)] : undefined,
      formatter: (v) => number(v),
    };
  }

  function captionOf({ ax, ay, m, cells, scale, best }) {
    const most = Math.max(...cells.map((cell) => cell.points.length));
    const holes = ax.levels.length * ay.levels.length - cells.length;
    return [
      `${scale.title}${rest.text() ? `, at ${rest.text()}` : ""}.`,
      most > 1 && `Cells stand for up to ${plural(most, "point")} and show the ${how.value}.`,
      best !== null && `The ${m.better === "more" ? "highest" : "lowest"} is outlined.`,
      holes > 0 && `Empty: ${plural(holes, "cell")} without a measured point.`,
      (ax.ranges || ay.ranges) && "Axes with many values are cut into ranges with equally many points.",
    ]
      .filter(Boolean)
      .join(" ");
  }

  function targetsIn({ ax, ay, m, cells }) {
    const spoken = (cell) => `${ax.levels[cell.column]}, ${ay.levels[cell.row]}: ${value(cell.mean, m.unit)}`;
    return cells
      .map((cell, dataIndex) => ({
        ...cell,
        seriesIndex: 0,
        dataIndex,
        point: onlyPoint(cell.points),
        text: cell.points.length > 1 ? spoken(cell) : undefined,
      }))
      .sort((a, b) => a.row - b.row || a.column - b.column);
  }

  function draw() {
    const [ax, ay, m] = [model.axes[x.value], model.axes[y.value], model.metrics[metric.value]];
    rest.show([ax, ay].filter(Boolean).map((axis) => axis.index));
    if (ax === ay || !m) return chart.draw({}, { empty: "Choose two different axes." });
    const scene = sceneOf(ax, ay, m);
    const { cells, look } = scene;
    how.node.hidden = !cells.some((cell) => cell.points.length > 1);
    if (cells.length === 0) return chart.draw({}, { empty: emptyText(rest) });
    chart.draw(
      {
        grid: { top: 56 },
        xAxis: categoryAxis(look, ax.name, ax.levels),
        yAxis: categoryAxis(look, ay.name, ay.levels, { nameGap: sideGap(ay.levels) }),
        visualMap: colourScale(scene),
        tooltip: { trigger: "item", formatter: (item) => tipFor(cells[item.dataIndex], ax, ay, m) },
        series: [cellSeries(scene)],
      },
      { height: Math.max(260, 130 + ROW_PX * ay.levels.length), targets: targetsIn(scene), caption: captionOf(scene) },
    );
  }

  function tipFor(cell, ax, ay, m) {
    if (!cell) return "";
    if (cell.points.length === 1) return tipOf(model, cell.points[0], [m]);
    const values = cell.points.map((p) => p.mean[m.index]);
    const rows = Object.keys(AGGREGATES).map((name) => [`${name} ${m.label}`, value(AGGREGATES[name](values), m.unit)]);
    return tipOfMany(model, `${ax.name}=${ax.levels[cell.column]} · ${ay.name}=${ay.levels[cell.row]}`, rows, cell.points);
  }

  return {
    id: "heatmap",
    title: "Heat map",
    lead: "Any figure over two axes; what the other axes are is chosen below, or put together over all of their values.",
    hidden: several.length < 2,
    nodes: [el("div", { class: "controls" }, x.node, y.node, metric.node, how.node), rest.node, chart.node],
    draw,
  };
}

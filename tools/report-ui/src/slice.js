// Where the time goes and what is busy, along one axis or for the points that matter: two pictures of the same bars.

import { Chart, categoryAxis, errorBars, sideGap, valueAxis } from "./chart.js";
import { check, choice, el } from "./dom.js";
import { value } from "./format.js";
import { measured, ofRole } from "./model.js";
import { along, loadAxis, meanOver } from "./curves.js";
import { axisScale, ends } from "./pareto.js";
import { onlyPoint, tipOf, tipOfMany } from "./point.js";
import { Rest, emptyText } from "./rest.js";
import { DASHES, SYMBOLS, theme } from "./theme.js";

const PLAIN = "chosen";
const BAR_PX = 34;
const LEAST_SHARE = 0.002;
const PERCENT = { to: (v) => v * 100, tick: (v) => `${v} %` };
const DECALS = [
  { symbol: "none" },
  { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: Math.PI / 4 },
  {
    symbol: "circle",
    dashArrayX: [
      [6, 6],
      [0, 6, 6, 0],
    ],
    dashArrayY: [6, 0],
    symbolSize: 0.5,
  },
  { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: -Math.PI / 4 },
];

const decalOf = (n, look) => ({
  ...DECALS[n % DECALS.length],
  color: look.dark ? "rgba(0,0,0,.35)" : "rgba(255,255,255,.45)",
});

/** The bars: [{ name, points }]. */
function placesOf(app, axis, rest) {
  const { model } = app;
  const points = app.visible().filter((p) => rest.holds(p) && p.mean.some((m) => m !== null));
  if (axis) return along(axis, points).map(({ level, points: own }) => ({ name: axis.levels[level], points: own }));
  const chosen = [
    [model.baseline, "baseline"],
    [model.best, "recommended"],
    ...[...model.ties].slice(0, 6).map((id) => [id, `tied: point ${model.points[id].number}`]),
  ].filter(([id], i, list) => id !== null && list.findIndex(([other]) => other === id) === i);
  const places = chosen.map(([id, name]) => ({ name, points: [model.points[id]] }));
  return places.length ? places : points.slice(0, 8).map((p) => ({ name: `point ${p.number}`, points: [p] }));
}

export function sliceSection(app) {
  const { model } = app;
  const several = model.axes.filter((axis) => axis.levels.length > 1);
  const stages = ofRole(model, "stage");
  const utilisations = ofRole(model, "utilisation");
  const rest = new Rest(model, () => draw());
  const hasChosen = model.best !== null || model.baseline !== null || several.length === 0;
  const axis = choice(
    "Along",
    [...several.map((a) => [String(a.index), a.name]), ...(hasChosen ? [[PLAIN, "baseline and recommended points"]] : [])],
    String(loadAxis(model)?.index ?? PLAIN),
    () => draw(),
  );
  const share = check("As shares of the whole", false, () => draw());
  const stageChart = new Chart("Stages of a request", {
    onpoint: app.select,
    tip: (id) => tipOf(model, model.points[id], stages),
  });
  const busyChart = new Chart("Utilisation", {
    onpoint: app.select,
    tip: (id) => tipOf(model, model.points[id], utilisations),
  });
  const stageTitle = el("h3", {}, "Stages of a request");
  const busyTitle = el("h3", {}, "Link, core and medium at work");

  /** Places where every stage was measured, and what is shown of them; stages of next to nothing are left out. */
  function stageScene(places, ax) {
    const full = places.filter((place) => stages.every((m) => place.points.every((p) => p.mean[m.index] !== null)));
    const means = full.map((place) => stages.map((m) => meanOver(place.points, m)));
    const totals = means.map((list) => list.reduce((sum, v) => sum + v, 0));
    const used = stages
      .map((m, s) => ({ m, s }))
      .filter(({ s }) => means.some((list, i) => list[s] >= totals[i] * LEAST_SHARE));
    const scale = share.checked
      ? { to: (v) => v, tick: (v) => `${v} %`, title: "share of the mean latency" }
      : axisScale({ label: "mean latency", unit: "ns" }, totals);
    const shown = (i, s) => (share.checked ? (100 * means[i][s]) / (totals[i] || 1) : scale.to(means[i][s]));
    return { ax, full, means, totals, used, scale, shown, look: theme() };
  }

  function stageSeries({ full, used, shown, look }) {
    const colours = look.series(8, false);
    return used.map(({ m, s }, n) => ({
      name: m.label,
      type: "bar",
      stack: "latency",
      barMaxWidth: 26,
      itemStyle: {
        color: colours[n % 8],
        decal: decalOf(Math.floor(n / 8 + (n % 2) * 2), look),
        borderColor: look.card,
        borderWidth: 0.5,
      },
      data: full.map((place, i) => ({ value: shown(i, s), point: onlyPoint(place.points) })),
    }));
  }

  function stageCaption(used, where) {
    const left = stages.filter((m) => !used.some((u) => u.m === m)).map((m) => m.label);
    return (
      `Mean time of a request in each stage${where}; the stages follow one another without gap and add up to its mean latency.` +
      (left.length ? ` Below ${100 * LEAST_SHARE} % everywhere and left out: ${left.join(", ")}.` : "")
    );
  }

  function drawStages(places, ax, where) {
    const scene = stageScene(places, ax);
    const { full, means, totals, used, scale, look } = scene;
    if (!stages.length || !full.length)
      return stageChart.draw({}, { empty: "No stage times were measured for these points." });
    const names = full.map((place) => place.name);
    stageChart.draw(
      {
        legend: { data: used.map(({ m }) => m.label) },
        xAxis: valueAxis(look, scale.title, scale, { scale: false, max: share.checked ? 100 : undefined }),
        yAxis: categoryAxis(look, ax?.name ?? "", names, { inverse: true, nameGap: sideGap(names) }),
        tooltip: {
          trigger: "item",
          formatter: (item) =>
            stageTip(full[item.dataIndex], means[item.dataIndex], totals[item.dataIndex], item.seriesIndex, used),
        },
        series: stageSeries(scene),
        aria: { enabled: true, label: { enabled: false }, decal: { show: true } },
      },
      {
        height: Math.max(200, 110 + BAR_PX * full.length),
        targets: full.map((place, dataIndex) => ({
          seriesIndex: 0,
          dataIndex,
          point: onlyPoint(place.points),
          text: stageText(place, means[dataIndex], totals[dataIndex]),
        })),
        caption: stageCaption(used, where),
      },
    );
  }

  const stageText = (place, means, total) =>
    `${place.name}: ${value(total, "ns")} in all; ${stages
      .map((m, s) => [m.label, means[s]])
      .sort((a, b) => b[1] - a[1])
      .slice(0, 4)
      .map(([l, v]) => `${l} ${value(v, "ns")}`)
      .join(", ")}`;

  function stageTip(place, means, total, series, used) {
    const line = (m, s) =>
      el(
        "tr",
        { class: used[series]?.m === m ? "this" : null },
        el("th", {}, m.label),
        el("td", {}, value(means[s], "ns")),
        el("td", {}, `${((100 * means[s]) / (total || 1)).toFixed(1)} %`),
      );
    return el(
      "div",
      { class: "tip" },
      el("strong", {}, `${place.name}: ${value(total, "ns")} in all`),
      el("table", {}, el("tbody", {}, stages.map(line))),
      used[series] && el("small", {}, `${used[series].m.label}: ${used[series].m.help}`),
    );
  }

  const busyMean = (place, m) => {
    const own = place.points.filter((p) => p.mean[m.index] !== null);
    return own.length ? meanOver(own, m) : null;
  };

  function busySeries({ places, shown, bars, colours, look }) {
    return shown.map((m, n) => ({
      name: m.label,
      type: bars ? "bar" : "line",
      symbol: SYMBOLS[n % SYMBOLS.length],
      symbolSize: 8,
      showAllSymbol: true,
      z: 3,
      barMaxWidth: 26,
      lineStyle: { color: colours[n], width: 2, type: DASHES[n % DASHES.length] },
      itemStyle: { color: colours[n], ...(bars ? { decal: decalOf(n, look) } : {}) },
      data: places.map((place) => {
        const mean = busyMean(place, m);
        return { value: mean === null ? null : PERCENT.to(mean), point: onlyPoint(place.points) };
      }),
    }));
  }

  function busyIntervals({ places, shown, colours }) {
    const itemOf = (place, i, m) => {
      const [p] = place.points;
      if (place.points.length > 1 || p.mean[m.index] === null) return [];
      return [[i, PERCENT.to(p.mean[m.index]), NaN, NaN, ...ends(PERCENT, p.mean[m.index], p.half[m.index])]];
    };
    return shown.map((m, n) =>
      errorBars(
        places.flatMap((place, i) => itemOf(place, i, m)),
        colours[n],
        { name: m.label },
      ),
    );
  }

  function drawBusy(places, ax, where) {
    const shown = utilisations.filter((m) => places.some((place) => busyMean(place, m) !== null));
    if (!shown.length) return busyChart.draw({}, { empty: "No utilisation was measured for these points." });
    const look = theme();
    const scene = { places, shown, look, bars: !ax || places.length === 1, colours: look.series(shown.length, false) };
    const spoken = (place) =>
      `${place.name}: ${shown.map((m) => `${m.label} ${value(busyMean(place, m), "ratio")}`).join(", ")}`;
    busyChart.draw(
      {
        xAxis: categoryAxis(
          look,
          ax?.name ?? "",
          places.map((place) => place.name),
        ),
        yAxis: valueAxis(look, "", PERCENT, { scale: false, min: 0, max: (range) => (range.max <= 100 ? 100 : null) }),
        legend: { data: shown.map((m) => m.label) },
        tooltip: {
          trigger: "item",
          formatter: (item) => (item.data?.value === undefined ? "" : busyTip(places[item.dataIndex], shown)),
        },
        series: [...busySeries(scene), ...(scene.bars ? [] : busyIntervals(scene))],
      },
      {
        targets: places.map((place, dataIndex) => ({
          seriesIndex: 0,
          dataIndex,
          point: onlyPoint(place.points),
          text: spoken(place),
        })),
        caption: `Share of the time each was busy${where}. What comes near 100 % is what limits the rest.`,
      },
    );
  }

  function busyTip(place, shown) {
    if (place.points.length === 1) return tipOf(model, place.points[0], shown);
    return tipOfMany(
      model,
      place.name,
      shown.map((m) => [m.label, value(busyMean(place, m), m.unit)]),
      place.points,
    );
  }

  function draw() {
    const ax = axis.value === PLAIN ? undefined : model.axes[axis.value];
    rest.show(ax ? [ax.index] : model.axes.map((a) => a.index));
    const places = placesOf(app, ax, rest);
    if (places.length === 0) {
      const empty = emptyText(rest);
      stageChart.draw({}, { empty });
      return busyChart.draw({}, { empty });
    }
    const where =
      (rest.text() ? `, at ${rest.text()}` : "") +
      (places.some((p) => p.points.length > 1) ? " (mean of several points)" : "");
    drawStages(places, ax, where);
    drawBusy(places, ax, where);
  }

  return {
    id: "stages",
    title: "Where the time goes, and what is busy",
    lead: "Why a point is as fast as it is: the stages of its requests, and how busy link, core, medium and guest were.",
    hidden: measured(model).length === 0,
    nodes: [
      el("div", { class: "controls" }, axis.node, share.node),
      rest.node,
      stageTitle,
      stageChart.node,
      busyTitle,
      busyChart.node,
    ],
    draw,
  };
}

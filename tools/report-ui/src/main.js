// The page: reads its data, lays out the sections, draws.

import "./style.css";
import { NARROW } from "./chart.js";
import { curvesSection } from "./curves.js";
import { byId, choice, copy, el } from "./dom.js";
import { Filters } from "./filters.js";
import { plural, visible } from "./format.js";
import { heatmapSection } from "./heatmap.js";
import { makeModel, measured, nameOf } from "./model.js";
import { paretoSection } from "./pareto.js";
import { makePanel, runOf } from "./point.js";
import { recommendationSection } from "./recommendation.js";
import { sliceSection } from "./slice.js";
import { tableSection } from "./table.js";
import { applyTheme, onSystemTheme, themeChoice } from "./theme.js";

function failuresSection(app) {
  const { model } = app;
  const failed = model.points.flatMap((p) => p.runs.filter((run) => run.error).map((run) => ({ p, run })));
  if (!failed.length) return null;
  const item = ({ p, run }) =>
    el(
      "li",
      {},
      el("p", {}, el("b", {}, `Point ${p.number}, seed ${run.seed}: `), el("span", { class: "bad" }, run.error)),
      el("p", { class: "note" }, nameOf(model, p)),
      el(
        "div",
        { class: "command" },
        el("code", {}, visible(run.command)),
        el("button", { type: "button", onclick: () => copy(run.command, "Command") }, "Copy"),
      ),
    );
  const list = (items) => el("ul", { class: "failures" }, items.map(item));
  return {
    id: "failures",
    title: `Failed runs: ${failed.length}`,
    lead: "They count nowhere above; a point whose other seeds succeeded has figures from those.",
    nodes: [
      list(failed.slice(0, 10)),
      failed.length > 10 ? el("details", {}, el("summary", {}, `${failed.length - 10} more`), list(failed.slice(10))) : null,
    ],
    draw() {},
  };
}

function methodSection(app) {
  const { model } = app;
  return {
    id: "method",
    title: "How the figures were made",
    nodes: [
      el(
        "ul",
        { class: "sentences" },
        el(
          "li",
          {},
          `Every point was simulated with ${plural(model.seeds.length, "seed")} (${model.seeds.slice(0, 12).join(", ")}${model.seeds.length > 12 ? ", …" : ""}). Figures are means over seeds; ± is the half width of Student's t interval at ${model.confidence} %. With one seed there is none.`,
        ),
        el("li", {}, "A percentile is that of one run's requests, then averaged over seeds."),
        el(
          "li",
          {},
          `Two points are compared seed by seed (paired t test). The recommended point is compared with every other one that satisfies the constraints, the level divided by their number (Bonferroni); each interval of a change against the baseline stands for itself.`,
        ),
        el(
          "li",
          {},
          "Pareto fronts, knees and the aggregates of heat maps are worked out on this page from the means of what is shown.",
        ),
        el(
          "li",
          {},
          `Written by kickstand ${model.version}. The figures are simulated time of a model: docs/timing.md and docs/calibration.md say where its numbers come from. The same data, one row a run, stand in results.csv and results.jsonl beside this file.`,
        ),
      ),
      el(
        "p",
        { class: "note" },
        "Charts by Apache ECharts (Apache License 2.0); its licence and notices are at the end of this file's source.",
      ),
    ],
    draw() {},
  };
}

function layOut(section) {
  return el(
    "section",
    { id: section.id, "aria-labelledby": `${section.id}-title` },
    el("h2", { id: `${section.id}-title` }, section.title),
    section.lead && el("p", { class: "lead" }, section.lead),
    ...section.nodes.flat(3).filter(Boolean),
  );
}

function facts(model) {
  const failed = model.points.reduce((sum, p) => sum + p.runs.filter((run) => run.error).length, 0);
  const varied = model.axes.filter((axis) => axis.values.length > 1);
  return [
    plural(model.points.length, "point"),
    plural(model.seeds.length, "seed"),
    failed ? `${plural(failed, "run")} failed` : null,
    varied.length ? `varied: ${varied.map((axis) => `${axis.name} (${axis.values.length})`).join(", ")}` : "nothing varied",
  ]
    .filter(Boolean)
    .join(" · ");
}

function start() {
  const model = makeModel(JSON.parse(byId("data").textContent));
  const panel = makePanel(model);
  let drawn = [];
  const redraw = () => drawn.forEach((section) => section.draw());
  const filters = new Filters(model, redraw);
  const app = {
    model,
    visible: () => measured(model).filter((p) => filters.passes(p)),
    select(id) {
      panel.show(id);
      copy(runOf(model.points[id]).command, "Command");
    },
  };
  drawn = [
    recommendationSection,
    paretoSection,
    curvesSection,
    heatmapSection,
    sliceSection,
    tableSection,
    failuresSection,
    methodSection,
  ]
    .map((make) => make(app))
    .filter((section) => section && !section.hidden);
  document.title = `${model.title} – Kickstand sweep`;
  byId("title").textContent = model.title;
  byId("facts").textContent = facts(model);
  byId("nav").append(...drawn.map((section) => el("a", { href: `#${section.id}` }, section.title)));
  byId("tools").append(
    filters.node,
    choice(
      "Theme",
      [
        ["auto", "as the system"],
        ["light", "light"],
        ["dark", "dark"],
      ],
      themeChoice(),
      (v) => {
        applyTheme(v);
        redraw();
      },
    ).node,
  );
  byId("sections").append(...drawn.map(layOut));
  onSystemTheme(() => {
    applyTheme(themeChoice());
    redraw();
  });
  matchMedia(NARROW).addEventListener("change", redraw);
  redraw();
}

applyTheme(themeChoice());
start();

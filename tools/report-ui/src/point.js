// One point: what the tool-tip says of it, and the panel with everything.

import { button, byId, copy, el } from "./dom.js";
import { interval, plural, visible } from "./format.js";
import { marksOf, nameOf, valueOf } from "./model.js";

export const figure = (metric, point) => interval(point.mean[metric.index], point.half[metric.index], metric.unit);

/** The run to reproduce a point with: the first that succeeded. */
export const runOf = (point) => point.runs.find((run) => !run.error) ?? point.runs[0];

/** The point's id if there is one alone, for what leads to a point when it is chosen. */
export const onlyPoint = (points) => (points.length === 1 ? points[0].id : undefined);

function pairs(rows) {
  return el(
    "dl",
    { class: "pairs" },
    rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
  );
}

export function tipOf(model, point, metrics) {
  const marks = marksOf(model, point);
  return el(
    "div",
    { class: "tip" },
    el("strong", {}, `Point ${point.number}${marks.length ? ` (${marks.join(", ")})` : ""}`),
    pairs(model.axes.map((axis) => [axis.name, valueOf(axis, point)])),
    pairs([...new Set(metrics)].map((metric) => [metric.label, figure(metric, point)])),
    el("code", {}, visible(runOf(point).command)),
    el("small", {}, "A click or Enter copies this command, to be run in the folder of this report, and shows all figures."),
  );
}

/** Tool-tip of a cell or bar that stands for several points. */
export function tipOfMany(model, title, rows, points) {
  if (points.length === 1) return tipOf(model, points[0], rows);
  return el(
    "div",
    { class: "tip" },
    el("strong", {}, title),
    pairs(rows),
    el("small", {}, `${plural(points.length, "point")}`),
  );
}

const runLine = (run) =>
  el(
    "li",
    {},
    el(
      "span",
      { class: "run" },
      `seed ${run.seed}`,
      button("Copy", () => copy(run.command, "Command"), {
        class: "quiet",
        "aria-label": `Copy the command of seed ${run.seed}`,
      }),
    ),
    el("code", {}, visible(run.command)),
    run.error && el("p", { class: "bad" }, `failed: ${run.error}`),
  );

const ROLES = [
  ["throughput", "Throughput"],
  ["latency", "Latency"],
  ["cost", "Cost per I/O"],
  ["utilisation", "Utilisation"],
  ["stage", "Mean time in each stage"],
  ["other", "Other"],
];

function differences(model, point) {
  const base = model.points[model.baseline];
  return model.axes.map((axis) => {
    const own = valueOf(axis, point);
    const theirs = base && base !== point ? valueOf(axis, base) : own;
    return [axis.name, theirs === own ? own : `${own} (baseline ${theirs})`];
  });
}

/** The panel stays beside the pictures: choosing another point replaces what it shows. */
export function makePanel(model) {
  const panel = byId("panel");
  let from = null;
  const close = () => {
    panel.hidden = true;
    from?.focus();
  };
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  return {
    show(id) {
      const point = model.points[id];
      const done = point.runs.filter((run) => !run.error).length;
      const title = el("h2", { tabindex: -1 }, `Point ${point.number}`);
      if (!panel.contains(document.activeElement)) from = document.activeElement;
      panel.replaceChildren(
        el("header", {}, title, button("Close", close)),
        el(
          "p",
          { class: "note" },
          [...marksOf(model, point), `${plural(done, "seed")} of ${point.runs.length} measured`].join(", "),
        ),
        pairs(differences(model, point)),
        el("h3", {}, "Commands that reproduce it"),
        el("p", { class: "note" }, "To be run in the folder of this report."),
        el("ul", { class: "runs" }, point.runs.map(runLine)),
        ...ROLES.flatMap(([role, heading]) => {
          const list = model.metrics.filter((m) => m.role === role && point.mean[m.index] !== null);
          return list.length ? [el("h3", {}, heading), pairs(list.map((m) => [m.label, figure(m, point)]))] : [];
        }),
      );
      panel.setAttribute("aria-label", nameOf(model, point));
      panel.hidden = false;
      panel.scrollTop = 0;
      title.focus({ preventScroll: true });
    },
  };
}

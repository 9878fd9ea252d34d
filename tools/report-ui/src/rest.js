// "The rest": a selection for every axis that a picture does not show, so that it is always said what the others are.

import { choice, el } from "./dom.js";
import { levelOf, measured } from "./model.js";

export const ALL = "all";

/**
 * The point whose values are selected at first. In a grid it is the recommended one; one at a time, all others differ from
 * the base; of a Latin hypercube no two points share a value, so that everything is put together there.
 */
function startingPoint(model) {
  const choices =
    { grid: [model.best, model.baseline, measured(model)[0]?.id], one_at_a_time: [model.baseline] }[model.design] ?? [];
  return model.points[choices.find((id) => id !== null && id !== undefined)];
}

export const emptyText = (rest) =>
  `No measured point${rest.text() ? ` with ${rest.text()}` : ""} is shown. Choose other values, or all.`;

export class Rest {
  constructor(model, onchange) {
    const preferred = startingPoint(model);
    this.model = model;
    this.chosen = model.axes.map((axis) => (preferred && !axis.ranges ? String(levelOf(axis, preferred)) : ALL));
    this.onchange = onchange;
    this.node = el("div", { class: "rest" });
  }

  /** Shows selections for all axes but those with these indices. */
  show(without) {
    this.shown = this.model.axes.filter((axis) => !without.includes(axis.index) && axis.levels.length > 1);
    this.node.replaceChildren(
      ...this.shown.map(
        (axis) =>
          choice(
            axis.name,
            [[ALL, "all"], ...axis.levels.map((text, level) => [String(level), text])],
            this.chosen[axis.index],
            (v) => {
              this.chosen[axis.index] = v;
              this.onchange();
            },
          ).node,
      ),
    );
    this.node.hidden = this.shown.length === 0;
  }

  holds(point) {
    return this.shown.every(
      (axis) => this.chosen[axis.index] === ALL || levelOf(axis, point) === Number(this.chosen[axis.index]),
    );
  }

  free() {
    return this.shown.filter((axis) => this.chosen[axis.index] === ALL);
  }

  /** "notify.threshold=8; over all of job.iodepth" */
  text() {
    const fixed = this.shown
      .filter((axis) => this.chosen[axis.index] !== ALL)
      .map((axis) => `${axis.name}=${axis.levels[Number(this.chosen[axis.index])]}`);
    const free = this.free().map((axis) => axis.name);
    return [...fixed, ...(free.length ? [`all of ${free.join(", ")}`] : [])].join("; ");
  }
}

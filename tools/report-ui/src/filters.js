// Which points all pictures and the table show.

import { button, check, el } from "./dom.js";
import { plural } from "./format.js";
import { levelOf } from "./model.js";

export class Filters {
  constructor(model, onchange) {
    this.model = model;
    this.hidden = model.axes.map(() => new Set());
    this.constrained = false;
    this.onchange = onchange;
    this.summary = el("summary");
    this.node = el("details", { class: "filters" }, this.summary);
    this.fill();
    this.say();
  }

  passes(point) {
    if (this.constrained && point.meets !== true) return false;
    return this.model.axes.every((axis) => !this.hidden[axis.index].has(levelOf(axis, point)));
  }

  fill() {
    const groups = this.model.axes
      .filter((axis) => axis.levels.length > 1)
      .map((axis) =>
        el(
          "fieldset",
          {},
          el("legend", {}, axis.name),
          el(
            "div",
            { class: "checks" },
            axis.levels.map(
              (text, level) =>
                check(text, !this.hidden[axis.index].has(level), (on) => {
                  this.hidden[axis.index][on ? "delete" : "add"](level);
                  this.changed();
                }).node,
            ),
          ),
        ),
      );
    const constrained = this.model.recommendation.constrained
      ? check("Only points that satisfy the constraints", this.constrained, (on) => {
          this.constrained = on;
          this.changed();
        }).node
      : null;
    const all = button(
      "Show all points",
      () => {
        this.hidden.forEach((set) => set.clear());
        this.constrained = false;
        this.fill();
        this.changed();
      },
      { class: "quiet" },
    );
    this.node.replaceChildren(this.summary, el("div", { class: "filter-body" }, constrained, groups, all));
    this.node.hidden = groups.length === 0 && !constrained;
  }

  changed() {
    this.say();
    this.onchange();
  }

  say() {
    const shown = this.model.points.filter((p) => this.passes(p)).length;
    this.summary.textContent = `Points shown: ${shown === this.model.points.length ? `all ${shown}` : `${shown} of ${plural(this.model.points.length, "point")}`}`;
  }
}

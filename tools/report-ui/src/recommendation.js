// What the program recommends, and how sure that is. All numbers and sentences were worked out by the program.

import { button, copy, el } from "./dom.js";
import { change, interval, value, visible } from "./format.js";
import { nameOf, valueOf } from "./model.js";
import { runOf } from "./point.js";

const BADGES = {
  best: ["good", "✓ clear winner"],
  tied: ["fair", "≈ tied"],
  one_seed: ["fair", "? one seed: not certain"],
  only: ["fair", "the only one"],
  none: ["bad", "✕ no point satisfies the constraints"],
  no_figures: ["bad", "✕ nothing to recommend"],
  no_objective: ["fair", "no objective given"],
};

const boundText = (model, c) =>
  `${model.metrics[c.metric].label} ${c.op === "<=" ? "≤" : c.op === ">=" ? "≥" : c.op} ${value(c.bound, model.metrics[c.metric].unit)}`;

function settings(model, point) {
  const base = model.points[model.baseline];
  return el(
    "ul",
    { class: "settings" },
    model.axes.map((axis) => {
      const own = valueOf(axis, point);
      const theirs = base ? valueOf(axis, base) : own;
      return el(
        "li",
        { class: theirs === own ? null : "changed" },
        `${axis.name} = `,
        el("b", {}, own),
        theirs === own ? null : el("span", {}, ` baseline ${theirs}`),
      );
    }),
  );
}

function gainsTable(model, gains, best) {
  const base = model.points[model.baseline];
  const words = { better: "✓ better", worse: "✕ worse", changed: "changed", unsure: "~ not certain", same: "= same" };
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Gains over the baseline" },
    el(
      "table",
      { class: "gains" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["figure", "baseline", "recommended", `change (${model.confidence} % interval)`, "verdict"].map((t) =>
            el("th", { scope: "col" }, t),
          ),
        ),
      ),
      el(
        "tbody",
        {},
        gains.map((g) => {
          const m = model.metrics[g.metric];
          const sides = g.low === null ? change(g.change) : `${change(g.change)}  (${change(g.low)} … ${change(g.high)})`;
          const cell = (label, text, kind) => el("td", { "data-label": label, class: kind }, text);
          return el(
            "tr",
            {},
            el("th", { scope: "row" }, m.label),
            cell("baseline", interval(base.mean[m.index], base.half[m.index], m.unit)),
            cell("recommended", interval(best.mean[m.index], best.half[m.index], m.unit)),
            cell("change", sides),
            cell("verdict", words[g.verdict], g.verdict),
          );
        }),
      ),
    ),
  );
}

function constraintsList(model, checks) {
  const words = {
    met: "✓ met",
    unsure: "~ met by the mean, but its interval reaches over the bound",
    broken: "✕ not met",
    missing: "? not measured",
  };
  return el(
    "ul",
    { class: "checks-list" },
    checks.map((c) => {
      const m = model.metrics[c.metric];
      return el(
        "li",
        { class: c.state },
        el("span", {}, boundText(model, c)),
        el("span", {}, interval(c.mean, c.half, m.unit)),
        el("b", {}, words[c.state]),
      );
    }),
  );
}

function nearest(model, list, app) {
  if (!list?.length) return null;
  return [
    el("h3", {}, "Nearest to satisfying them"),
    el(
      "ul",
      { class: "plain" },
      list.map((n) =>
        el(
          "li",
          {},
          button(`Point ${model.points[n.point].number}`, () => app.select(n.point), { class: "link" }),
          ` ${nameOf(model, model.points[n.point])}`,
          constraintsList(model, n.checks),
        ),
      ),
    ),
  ];
}

function ties(model, r, app) {
  if (!r.ties?.length) return null;
  const m = model.metrics[r.objective];
  const line = (id) => {
    const p = model.points[id];
    return el(
      "li",
      {},
      button(`Point ${p.number}`, () => app.select(id), { class: "link" }),
      ` ${nameOf(model, p)}: ${interval(p.mean[m.index], p.half[m.index], m.unit)}`,
    );
  };
  const few = r.ties.slice(0, 5).map(line);
  const more = r.ties.slice(5).map(line);
  return [
    el("h3", {}, `Not told apart from it: ${r.ties.length}`),
    el("ul", { class: "plain" }, few),
    more.length ? el("details", {}, el("summary", {}, `${more.length} more`), el("ul", { class: "plain" }, more)) : null,
  ];
}

export function recommendationSection(app) {
  const { model } = app;
  const r = model.recommendation;
  const best = model.best === null ? null : model.points[model.best];
  const [kind, badge] = BADGES[r.verdict];
  const command = best && runOf(best).command;
  return {
    id: "recommendation",
    title: "Recommendation",
    nodes: [
      el("p", { class: "verdict" }, el("span", { class: `badge ${kind}` }, badge)),
      el(
        "ul",
        { class: "sentences" },
        r.text.map((line) => el("li", {}, visible(line))),
      ),
      best && settings(model, best),
      best &&
        el(
          "div",
          { class: "command" },
          el("code", {}, visible(command)),
          button("Copy", () => copy(command, "Command"), { "aria-label": "Copy the command of the recommended point" }),
          button("All figures", () => app.select(best.id)),
        ),
      best && r.checks?.length ? [el("h3", {}, "Constraints"), constraintsList(model, r.checks)] : null,
      best && r.gains?.length ? [el("h3", {}, "Against the baseline"), gainsTable(model, r.gains, best)] : null,
      ties(model, r, app),
      nearest(model, r.nearest, app),
    ],
    draw() {},
  };
}

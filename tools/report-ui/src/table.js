// All points as a table: sorted by a click on a heading, filtered by a line of conditions below it.

import { button, check, copy, el } from "./dom.js";
import { interval, plural, scaleFor, value, withUnit } from "./format.js";
import { isFailed, marksOf, valueOf } from "./model.js";
import { runOf } from "./point.js";

const FIRST = ["iops", "mean_us", "p99_us", "doorbells_per_io", "interrupts_per_io", "core_load", "link_up_load"];

/** What a cell has to be: ">5", "<= 3.2", "4..8", "=on", or a text it contains. Returns null if nothing is asked. */
export function conditionOf(text) {
  const asked = text.trim();
  if (asked === "") return null;
  const range = asked.match(/^([-+.\deE]+)\s*\.\.\s*([-+.\deE]+)$/);
  if (range) return (shown, v) => v >= Number(range[1]) && v <= Number(range[2]);
  const compared = asked.match(/^(<=|>=|<|>|=)\s*(.*)$/);
  if (!compared) return (shown) => shown.toLowerCase().includes(asked.toLowerCase());
  const [, op, right] = compared;
  if (op === "=" && !Number.isFinite(Number(right))) return (shown) => shown.toLowerCase() === right.toLowerCase();
  const bound = Number(right);
  if (right === "" || !Number.isFinite(bound)) return () => false;
  return (shown, v) => ({ "<": v < bound, "<=": v <= bound, ">": v > bound, ">=": v >= bound, "=": v === bound })[op];
}

function columnsOf(model) {
  const largest = (m) => Math.max(0, ...model.points.map((p) => Math.abs(p.mean[m.index] ?? 0)));
  const point = { key: "id", title: "point", number: (p) => p.number, text: (p) => String(p.number), always: true };
  const axes = model.axes.map((axis) => ({
    key: `axis${axis.index}`,
    title: axis.name,
    always: true,
    number: (p) => (axis.numeric ? Number(valueOf(axis, p)) : NaN),
    text: (p) => valueOf(axis, p),
  }));
  const marks = {
    key: "marks",
    title: "is",
    always: true,
    number: () => NaN,
    text: (p) => [...marksOf(model, p), ...(isFailed(p) ? ["failed"] : [])].join(", "),
  };
  const meets = {
    key: "meets",
    title: "constraints",
    number: () => NaN,
    text: (p) => (p.meets === null ? "unknown" : p.meets ? "met" : "not met"),
    always: true,
  };
  const metrics = model.metrics.map((m) => {
    const scale = scaleFor(m.unit, largest(m));
    const bare = { factor: scale.factor, unit: "" };
    return {
      key: m.name,
      title: withUnit(m.label, scale),
      help: m.help,
      figure: true,
      shown: FIRST.includes(m.name),
      number: (p) => (p.mean[m.index] === null ? NaN : p.mean[m.index] / scale.factor),
      text: (p) => value(p.mean[m.index], m.unit, bare),
      full: (p) => interval(p.mean[m.index], p.half[m.index], m.unit, bare),
    };
  });
  return [point, ...axes, marks, ...(model.recommendation.constrained ? [meets] : []), ...metrics];
}

function compare(a, b, column, down) {
  const [x, y] = [column.number(a), column.number(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1; // what is missing comes last either way
  const order = Number.isNaN(x) ? column.text(a).localeCompare(column.text(b), "en", { numeric: true }) : x - y;
  return (down ? -order : order) || a.id - b.id;
}

export function tableSection(app) {
  const { model } = app;
  const columns = columnsOf(model);
  const asked = new Map();
  let sorted = { key: "id", down: false };
  const head = el("thead");
  const body = el("tbody");
  const count = el("p", { class: "note", "aria-live": "polite" });
  const intervals = check("Confidence intervals", true, () => fill());
  const chooser = el(
    "details",
    { class: "chooser" },
    el("summary", {}, "Columns"),
    el(
      "div",
      { class: "checks" },
      columns
        .filter((c) => !c.always)
        .map(
          (c) =>
            check(c.title, c.shown, (on) => {
              c.shown = on;
              if (!on) asked.delete(c.key);
              heading();
              fill();
            }).node,
        ),
    ),
  );
  const reset = button(
    "Clear filters",
    () => {
      asked.clear();
      heading();
      fill();
    },
    { class: "quiet" },
  );

  const shown = () => columns.filter((c) => c.always || c.shown);

  function heading() {
    const titles = shown().map((c) =>
      el(
        "th",
        {
          scope: "col",
          title: c.help,
          "aria-sort": sorted.key === c.key ? (sorted.down ? "descending" : "ascending") : null,
        },
        button(
          c.title,
          () => {
            sorted = { key: c.key, down: sorted.key === c.key && !sorted.down };
            heading();
            fill();
            head.querySelector(`[data-key="${CSS.escape(c.key)}"]`)?.focus();
          },
          { "data-key": c.key },
        ),
      ),
    );
    const filters = shown().map((c) =>
      el(
        "td",
        {},
        el("input", {
          type: "text",
          value: asked.get(c.key) ?? null,
          "aria-label": `Filter ${c.title}`,
          "data-filter": c.key,
          placeholder: c.figure ? "> <" : "",
          oninput: (event) => {
            asked.set(c.key, event.target.value);
            fill();
          },
        }),
      ),
    );
    head.replaceChildren(
      el("tr", {}, titles, el("th", { scope: "col" }, "command")),
      el("tr", { class: "filters" }, filters, el("td")),
    );
  }

  function fill() {
    const conditions = shown()
      .map((c) => [c, conditionOf(asked.get(c.key) ?? "")])
      .filter(([, condition]) => condition);
    const all = app.visible();
    const rows = all.filter((p) => conditions.every(([c, condition]) => condition(c.text(p), c.number(p))));
    const by = columns.find((c) => c.key === sorted.key);
    rows.sort((a, b) => compare(a, b, by, sorted.down));
    body.replaceChildren(...rows.map(row));
    count.textContent =
      `${rows.length} of ${plural(model.points.length, "point")}` +
      (all.length < model.points.length
        ? `, ${model.points.length - all.length} of them hidden by the filters at the top`
        : "");
  }

  function row(p) {
    const marks = marksOf(model, p);
    return el(
      "tr",
      { class: marks.length ? "marked" : null },
      shown().map((c, i) =>
        i === 0
          ? el(
              "th",
              { scope: "row" },
              button(`${p.number}`, () => app.select(p.id), { class: "link", "aria-label": `Show point ${p.number}` }),
            )
          : el("td", { class: c.figure ? "figure" : null }, c.full && intervals.checked ? c.full(p) : c.text(p)),
      ),
      el(
        "td",
        {},
        button("Copy", () => copy(runOf(p).command, "Command"), {
          class: "quiet",
          title: runOf(p).command,
          "aria-label": `Copy the command of point ${p.number}`,
        }),
      ),
    );
  }

  return {
    id: "table",
    title: "All points",
    lead: "A heading sorts. Below it, conditions such as >80, <=3.5, 4..8, =on, or a part of the text; figures are in the heading's unit.",
    nodes: [
      el("div", { class: "controls" }, intervals.node, chooser, reset),
      el(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of all points" },
        el("table", {}, head, body),
      ),
      count,
    ],
    draw() {
      heading();
      fill();
    },
  };
}

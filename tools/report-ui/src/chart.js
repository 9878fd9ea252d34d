// One picture: an ECharts instance with the page's look, tool-tips made of elements, a way through it by keyboard, and an
// empty state that says why there is nothing to see.

import { init, use } from "echarts/core";
import { BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { LabelLayout } from "echarts/features";
import { SVGRenderer } from "echarts/renderers";

import { button, el } from "./dom.js";
import { theme } from "./theme.js";

use([
  BarChart,
  CustomChart,
  HeatmapChart,
  LineChart,
  ScatterChart,
  AriaComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
  LabelLayout,
  SVGRenderer,
]);

export const NARROW = "(max-width: 640px)";
export const isNarrow = () => matchMedia(NARROW).matches;

const LEGEND_ROW_PX = 24;
const LABEL_PX = 110; // the longest mark of an axis

/** How many rows a legend takes; the text's width is guessed. */
function legendRows(names, width) {
  let rows = 1;
  let used = 0;
  for (const name of names) {
    const wide = 50 + Math.min(300, 7 * name.length);
    if (used + wide > width) {
      rows++;
      used = 0;
    }
    used += wide;
  }
  return rows;
}

function merged(base, option) {
  const result = { ...base, ...option };
  for (const key of ["tooltip", "grid", "legend"]) if (option[key]) result[key] = { ...base[key], ...option[key] };
  return result;
}

function baseOption(look) {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: look.font, color: look.text, fontSize: 12 },
    aria: { enabled: false },
    grid: { left: 4, right: 16, top: 40, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "all" },
    legend: {
      type: "plain",
      top: 0,
      left: 0,
      right: 0,
      itemGap: 12,
      textStyle: { color: look.text, width: isNarrow() ? 200 : 300, overflow: "truncate" },
      pageTextStyle: { color: look.text },
      pageIconColor: look.accent,
      pageIconInactiveColor: look.line,
      inactiveColor: look.line,
    },
    tooltip: {
      confine: true,
      transitionDuration: 0,
      backgroundColor: look.card,
      borderColor: look.line,
      padding: [8, 10],
      textStyle: { color: look.text, fontSize: 12 },
      extraCssText: "max-width:min(34rem,84vw);white-space:normal",
    },
  };
}

/** The axes of the pictures. */
export function valueAxis(look, name, scale, more = {}) {
  return {
    type: "value",
    name,
    nameLocation: "middle",
    nameGap: 30,
    scale: true,
    axisLine: { show: true, lineStyle: { color: look.line } },
    nameTextStyle: { color: look.text, fontSize: 12 },
    axisLabel: { color: look.muted, hideOverlap: true, formatter: (v) => scale.tick(v) },
    splitLine: { lineStyle: { color: look.grid } },
    ...more,
  };
}

/** The gap that leaves room for the marks beside a vertical axis of categories. */
export const sideGap = (categories) => 22 + Math.min(LABEL_PX, 7 * Math.max(...categories.map((text) => text.length)));

export function categoryAxis(look, name, categories, more = {}) {
  return {
    type: "category",
    name,
    data: categories,
    nameLocation: "middle",
    nameGap: 30,
    axisTick: { alignWithLabel: true },
    axisLine: { lineStyle: { color: look.line } },
    nameTextStyle: { color: look.text, fontSize: 12 },
    nameTruncate: { maxWidth: 180 },
    axisLabel: { color: look.muted, hideOverlap: true, width: LABEL_PX, overflow: "truncate" },
    splitArea: { show: false },
    splitLine: { show: false },
    ...more,
  };
}

/** Error bars: items { value: [x, y, xLow, xHigh, yLow, yHigh] } in the axes' units; null ends are not drawn. */
export function errorBars(items, colour, more = {}) {
  return {
    type: "custom",
    silent: true,
    z: 1,
    legendHoverLink: false,
    tooltip: { show: false },
    ...more,
    data: items.map((value) => ({ value })),
    encode: { x: 0, y: 1 },
    renderItem: (params, api) => {
      const value = (i) => api.value(i);
      const at = (x, y) => api.coord([x, y]);
      const children = [];
      const line = (from, to, across) => {
        const style = {
          stroke: typeof colour === "function" ? colour(params.dataIndex) : colour,
          lineWidth: 1.25,
          opacity: 0.75,
        };
        const segment = (x1, y1, x2, y2) => children.push({ type: "line", shape: { x1, y1, x2, y2 }, style });
        segment(from[0], from[1], to[0], to[1]);
        for (const end of [from, to])
          segment(end[0] - across[0], end[1] - across[1], end[0] + across[0], end[1] + across[1]);
      };
      if (Number.isFinite(value(2)) && value(3) > value(2)) line(at(value(2), value(1)), at(value(3), value(1)), [0, 3]);
      if (Number.isFinite(value(4)) && value(5) > value(4)) line(at(value(0), value(4)), at(value(0), value(5)), [3, 0]);
      return { type: "group", children };
    },
  };
}

/** Every data item that has a point, for the arrow keys. */
export function targetsOf(series) {
  return series
    .flatMap((one, seriesIndex) =>
      (one.data ?? []).map((item, dataIndex) => ({ seriesIndex, dataIndex, point: item?.point, value: item?.value })),
    )
    .filter((target) => Number.isInteger(target.point));
}

/**
 * title: its name. onpoint(id): a point was chosen by click or Enter.
 * tip(id, item): the element for the tool-tip of a data item that has `point`.
 */
export class Chart {
  constructor(title, { onpoint, tip }) {
    this.onpoint = onpoint;
    this.targets = [];
    this.at = -1;
    this.canvas = el("div", { class: "canvas" });
    this.spoken = el("p", { class: "offscreen", "aria-live": "polite" });
    this.empty = el("p", { class: "empty", hidden: true });
    this.box = el(
      "div",
      {
        class: "chart",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "chart",
        "aria-label": `${title}. Arrow keys go through its points, Enter opens one; the table below has all figures.`,
      },
      this.canvas,
    );
    this.caption = el("p", { class: "caption" });
    this.save = button("Save picture", () => this.download(title), { class: "quiet" });
    this.node = el("figure", {}, this.box, this.empty, this.spoken, el("figcaption", {}, this.caption, this.save));
    this.tip = tip;
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => this.chart?.dispatchAction({ type: "hideTip" }));
    new ResizeObserver(() => this.resized()).observe(this.canvas);
  }

  /** A legend that would be too tall is turned page by page instead. */
  roomForLegend(option) {
    const names = option.legend?.data;
    if (!names) return { option, extra: 0 };
    const rows = legendRows(names, this.canvas.clientWidth || 600);
    const fits = rows <= 6;
    const extra = names.length === 0 ? -LEGEND_ROW_PX : fits ? (rows - 1) * LEGEND_ROW_PX : 0;
    const legend = { ...option.legend, type: fits ? "plain" : "scroll" };
    return { option: { ...option, legend, grid: { ...option.grid, top: 40 + extra } }, extra };
  }

  /** option: ECharts; targets: [{ seriesIndex, dataIndex, point }] in the order of the arrow keys; height in pixels. */
  draw(option, { targets = [], caption = "", empty = null, height = null } = {}) {
    this.box.hidden = this.save.hidden = empty !== null;
    this.empty.hidden = empty === null;
    this.empty.textContent = empty ?? "";
    this.caption.textContent = caption;
    this.targets = targets;
    this.at = -1;
    if (empty !== null) {
      this.chart?.clear();
      return;
    }
    const room = this.roomForLegend(option);
    this.canvas.style.height = `${(height ?? (isNarrow() ? 340 : 400)) + room.extra}px`;
    if (!this.chart) this.start();
    this.chart.resize();
    this.chart.setOption(merged(baseOption(theme()), room.option), { notMerge: true });
  }

  start() {
    this.chart = init(this.canvas, null, { renderer: "svg" });
    this.box.chart = this.chart; // for tests
    this.chart.on("click", (event) => {
      if (Number.isInteger(event.data?.point)) this.onpoint(event.data.point);
    });
  }

  resized() {
    if (!this.chart || this.box.hidden || this.canvas.clientWidth === 0) return;
    this.chart.resize();
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && this.targets.length) {
      event.preventDefault();
      this.at = (this.at + step + (this.at < 0 && step < 0 ? 1 : 0) + this.targets.length) % this.targets.length;
      const { seriesIndex, dataIndex, point, text } = this.targets[this.at];
      this.chart.dispatchAction({ type: "showTip", seriesIndex, dataIndex });
      this.spoken.textContent = text ?? this.tip(point).textContent;
    } else if (event.key === "Enter" && this.targets[this.at]?.point !== undefined) {
      this.onpoint(this.targets[this.at].point);
    } else if (event.key === "Escape") {
      this.chart?.dispatchAction({ type: "hideTip" });
    }
  }

  download(title) {
    const svg = this.chart.renderToSVGString();
    const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    el("a", { href: address, download: `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.svg` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
}

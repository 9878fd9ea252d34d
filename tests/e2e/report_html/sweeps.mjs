// Folders with results as `kickstand sweep` leaves them, made up: enough to draw every picture, and everything that names,
// numbers and failures can do to a page.

import { mkdirSync, writeFileSync } from "node:fs";

const METRICS = [
  ["iops", "1/s", "more"],
  ["mbytes_per_s", "MB/s", "more"],
  ["mean_us", "us", "less"],
  ["p50_us", "us", "less"],
  ["p99_us", "us", "less"],
  ["doorbells_per_io", "", "less"],
  ["interrupts_per_io", "", "less"],
  ["core_load", "", "less"],
  ["link_up_load", "", "neither"],
  ["link_down_load", "", "neither"],
  ["medium_load", "", "neither"],
  ["guest_load", "", "neither"],
  ["new_metric", "furlongs", "neither"],
];
const STAGES = {
  submit: 0.02,
  doorbell: 0.01,
  notify: 0.05,
  ring: 0.11,
  fetch: 0.1,
  core_wait: 0.05,
  firmware: 0.01,
  medium: 0.5,
  data: 0.03,
  done: 0.02,
  used: 0.001,
  interrupt: 0.059,
  complete: 0.04,
};

/** Numbers in [0, 1) that are the same every time. */
export function random(seed) {
  let x = seed * 2654435761 + 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** Figures of a point: `hold` from 0 to 1 costs latency and saves doorbells, `load` is how much is in flight. */
function figures(hold, load, chance) {
  const noise = (part) => 1 + part * (chance() + chance() + chance() - 1.5);
  const iops = (2e6 * load) / (load + 12) / (1 + 0.2 * hold);
  const mean = (load / iops) * 1e6;
  return {
    iops: iops * noise(0.01),
    mbytes_per_s: (iops * 4096 * noise(0.01)) / 1e6,
    mean_us: mean * noise(0.01),
    p50_us: 0.95 * mean * noise(0.01),
    p99_us: 1.4 * mean * noise(0.03),
    doorbells_per_io: ((1 - 0.9 * hold) / (1 + load / 40)) * noise(0.02),
    interrupts_per_io: 0.5 * noise(0.05),
    core_load: Math.min(1, (iops / 2.5e6) * noise(0.01)),
    link_up_load: iops / 3e6,
    link_down_load: iops / 4e7,
    medium_load: iops / 7e6,
    guest_load: Math.min(1, iops / 1.9e6),
    new_metric: 7,
  };
}

const product = (lists) => lists.reduce((all, list) => all.flatMap((head) => list.map((item) => [...head, item])), [[]]);

/**
 * axes: [{ name, values, keys }]; points: [[level, …], …]; given(point, seed, figures) may change a run:
 * { metrics, error, missing, command }.
 */
export function writeSweep(
  folder,
  {
    axes,
    points,
    seeds,
    constraints = [],
    objective = null,
    design = "grid",
    baseline = null,
    title = "made-up.ini",
    given = () => ({}),
  },
) {
  const named = (list) => Object.fromEntries(axes.map((axis, a) => [axis.name, list[a]]));
  const rows = [];
  points.forEach((levels, number) => {
    const values = levels.map((level, a) => axes[a].values[level]);
    for (const seed of seeds) {
      const part = (a) => (axes[a] ? levels[a] / Math.max(1, axes[a].values.length - 1) : 0.5);
      const own = figures(part(0), 2 ** (7 * part(1)), random(1 + number * 100 + seed));
      const change = given(number, seed, own);
      if (change.missing) continue;
      const metrics = { ...own, ...change.metrics };
      const stages = Object.fromEntries(
        Object.entries(STAGES).map(([name, share]) => [name, { mean: 1000 * metrics.mean_us * share }]),
      );
      rows.push({
        point: number,
        role: number === baseline ? "baseline" : "point",
        seed,
        id: `${number}-${seed}`,
        status: change.error ? 3 : 0,
        error: change.error ?? null,
        command:
          change.command ??
          `kickstand run --job jobs/0123456789abcdef.fio --disk ram:64M ${axes.map((axis, a) => `--set ${axis.name}=${values[a]}`).join(" ")} --seed ${seed}`,
        axes: named(values),
        level: named(levels),
        metrics: change.error ? {} : metrics,
        config: {},
        run: change.error ? null : { stages_ns: stages },
      });
    }
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    `${folder}/sweep.json`,
    JSON.stringify({
      version: "test",
      spec: title,
      design,
      seeds,
      axes: axes.map((axis) => ({ name: axis.name, keys: axis.keys ?? [axis.name], values: axis.values })),
      constraints: constraints.map(([metric, op, value]) => ({ metric, op, value })),
      objective: objective && { metric: objective[0], goal: objective[1] },
      metrics: METRICS.map(([name, unit, better]) => ({ name, unit, better, meaning: `what ${name} is` })),
    }),
  );
  writeFileSync(`${folder}/results.jsonl`, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

const grid = (axes) => product(axes.map((axis) => axis.values.map((_, level) => level)));

const GRID = [
  { name: "notify.holdoff_ns", values: ["0", "1000", "4000", "16000"] },
  { name: "job.iodepth", values: ["1", "2", "4", "8", "16", "32", "64", "128"] },
  { name: "notify.mode", values: ["pending", "fifo"] },
];

export const HOSTILE = {
  image: '<img src=x onerror="window.hacked=1">',
  script: "</script><script>window.hacked=2</script>",
  template: "{b}'\"`${window.hacked=3}{a|x} &lt;<!-- ]]>",
  names: ["__proto__", "constructor", "toString"],
  direction: "\u202eabc\u2028def",
};

const SWEEPS = {
  grid: {
    axes: GRID,
    points: grid(GRID),
    seeds: [1, 2, 3],
    baseline: 0,
    constraints: [
      ["p99_us", "<=", 60],
      ["core_load", "<=", 0.7],
    ],
    objective: ["iops", "maximise"],
    title: "Hold-off × depth.ini",
  },
  one: { axes: [], points: [[]], seeds: [1], objective: ["iops", "maximise"] },
  none: {
    axes: [GRID[0]],
    points: grid([GRID[0]]),
    seeds: [1, 2, 3],
    constraints: [
      ["p99_us", "<=", 0.1],
      ["iops", ">=", 9e9],
    ],
    objective: ["iops", "maximise"],
  },
  winner: {
    axes: [GRID[0]],
    points: grid([GRID[0]]),
    seeds: [1, 2, 3],
    baseline: 3,
    objective: ["doorbells_per_io", "minimise"],
    given: (point, seed, own) => ({ metrics: { doorbells_per_io: own.doorbells_per_io / (point === 1 ? 100 : 1) } }),
  },
  hostile: {
    axes: [
      { name: HOSTILE.image, values: ["1", HOSTILE.script] },
      { name: HOSTILE.template, values: [...HOSTILE.names, HOSTILE.image] },
      { name: "__proto__x", values: [HOSTILE.direction, "on"] },
    ],
    points: grid([{ values: [0, 1] }, { values: [0, 1, 2, 3] }, { values: [0, 1] }]),
    seeds: [1, 2],
    baseline: 0,
    constraints: [["p99_us", "<=", 60]],
    objective: ["iops", "maximise"],
    title: HOSTILE.script + HOSTILE.image,
    given: (point, seed) => ({
      command: `kickstand run --x '${HOSTILE.script}${HOSTILE.image}' --seed ${seed}`,
      error: point === 3 && seed === 2 ? HOSTILE.script + HOSTILE.image + HOSTILE.direction : undefined,
    }),
  },
  odd: {
    axes: [{ name: "job.iodepth", values: ["1", "2", "4", "8", "16", "32"] }],
    points: [[0], [1], [2], [3], [4], [5]],
    seeds: [1, 2],
    objective: ["iops", "maximise"],
    given: (point, seed) =>
      [
        { metrics: { iops: 1e15, p99_us: 1e12, doorbells_per_io: 1e-12 } },
        { metrics: Object.fromEntries(METRICS.map(([name]) => [name, null])) },
        { error: "watchdog: nothing was completed for 10 ms" },
        { metrics: { p99_us: null, iops: null } },
        { metrics: { iops: 0, p99_us: 0, mean_us: 0, doorbells_per_io: 0, core_load: 0 } },
        seed === 2 ? { missing: true } : {},
      ][point],
  },
  failed: {
    axes: [GRID[0]],
    points: grid([GRID[0]]),
    seeds: [1],
    constraints: [["p99_us", "<=", 40]],
    objective: ["iops", "maximise"],
    given: () => ({ error: "--job x.fio: no such file" }),
  },
};

function large() {
  const chance = random(7);
  const range = (from, step) => Array.from({ length: 500 }, (_, i) => String(from + step * i));
  const axes = [
    { name: "notify.holdoff_ns", values: range(0, 20) },
    { name: "core.clock_mhz", values: range(500, 3) },
    { name: "fetch.batch", values: ["1", "2", "4", "8", "16", "32"] },
    { name: "device.offload", values: ["firmware", "fetch", "full"] },
    { name: "notify.threshold", values: range(0, 1).slice(0, 64) },
  ];
  const shuffled = axes.map(() =>
    range(0, 1)
      .map(Number)
      .map((i) => [chance(), i])
      .sort((a, b) => a[0] - b[0])
      .map(([, i]) => i),
  );
  const points = range(0, 1).map((_, p) => axes.map((axis, a) => Math.floor((shuffled[a][p] * axis.values.length) / 500)));
  return {
    axes,
    points,
    seeds: [1, 2, 3, 4, 5],
    design: "lhs",
    constraints: [["p99_us", "<=", 60]],
    objective: ["iops", "maximise"],
  };
}

export const NAMES = [...Object.keys(SWEEPS), "large"];
export const makeSweep = (name, folder) => writeSweep(folder, name === "large" ? large() : SWEEPS[name]);

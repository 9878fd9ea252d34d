// What depends on what the reader chose to see: fronts, knees and aggregates. All that is over seeds was worked out by the
// program (host-sim/sweep) and stands in the page.

const sign = (better) => (better === "more" ? -1 : 1);

/**
 * The Pareto front of points [x, y]: those that no other point beats in one figure without losing in the other.
 * Returns the indices, in order of x. Points with the same figures are all on it or all off it.
 */
export function paretoFront(points, xBetter = "less", yBetter = "less") {
  const cost = points.map(([x, y], index) => ({ index, x: sign(xBetter) * x, y: sign(yBetter) * y }));
  cost.sort((a, b) => a.x - b.x || a.y - b.y);
  const front = [];
  for (const c of cost) {
    const last = front[front.length - 1];
    if (!last || c.y < last.y || (c.y === last.y && c.x === last.x)) front.push(c);
  }
  return front.map((c) => c.index).sort((a, b) => points[a][0] - points[b][0]);
}

/**
 * The knee of a throughput-latency curve: the load with the greatest power, throughput / latency (L. Kleinrock, "Power
 * and deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979). It is where a line
 * from the origin touches the curve: below it more load buys more throughput than it costs latency, above it less.
 * Returns { index, end }, end telling that it is the curve's first or last point, so that the true one may lie beyond;
 * null for fewer than three points.
 */
export function knee(points) {
  if (points.length < 3) return null;
  let index = -1;
  points.forEach(([throughput, latency], i) => {
    if (latency > 0 && (index < 0 || throughput * points[index][1] > points[index][0] * latency)) index = i;
  });
  if (index < 0) return null;
  return { index, end: index === 0 ? "first" : index === points.length - 1 ? "last" : null };
}

export const AGGREGATES = {
  mean: (values) => values.reduce((sum, v) => sum + v, 0) / values.length,
  lowest: (values) => Math.min(...values),
  highest: (values) => Math.max(...values),
};

/**
 * Levels of an axis: its values if they are few, else (numbers only) up to `most` ranges that hold equally many of the
 * points. `numbers` are the axis's distinct values, ascending; `uses[i]` says how many points have the i-th.
 * Returns for each distinct value its range's index.
 */
export function rangesOf(numbers, uses, most) {
  const total = uses.reduce((sum, n) => sum + n, 0);
  let before = 0;
  const raw = numbers.map((_, i) => {
    const range = Math.min(most - 1, Math.floor((before * most) / total));
    before += uses[i];
    return range;
  });
  const names = [...new Set(raw)];
  return raw.map((r) => names.indexOf(r));
}

// What the page must do. Each scenario gets { browser, folder (name of a sweep → its folder), shots } and fails by throwing.

import assert from "node:assert/strict";

import { faintTexts, open, optionOf, shoot, viewOf } from "./browser.mjs";
import { HOSTILE } from "./sweeps.mjs";

const PICTURES = ["pareto", "curves", "heatmap", "stages"];
const metric = (data, name) => data.metrics.findIndex((m) => m.name === name);
const close = (a, b) => Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
const text = (page, selector) => page.locator(selector).first().innerText();
const labelled = (page, section, name) =>
  page
    .locator(`#${section} label`)
    .filter({ has: page.locator("> span").getByText(name, { exact: true }) })
    .first();
const choose = (page, section, name, option) =>
  labelled(page, section, name).locator("select").selectOption({ label: option });
const pointsOf = (option) =>
  option.series
    .flatMap((series) => (Array.isArray(series.data) ? series.data : []))
    .filter((item) => Number.isInteger(item?.point));

/** Goes through the options of every selection (some, if they are many), and every box, of a section; each control must
 * change what is seen. */
async function tryControls(page, section, { mayBeSame = () => false } = {}) {
  const controls = await page.evaluate(
    (id) =>
      [...document.querySelectorAll(`#${id} select, #${id} .controls > label.check input`)].map((node) => ({
        name: node.closest("label").querySelector("span").textContent,
        options: node.options ? [...node.options].map((o) => o.value) : null,
        seen: node.checkVisibility(),
      })),
    section,
  );
  let changed = 0;
  for (const { name, options, seen } of controls) {
    if (!seen || (options && options.length < 2)) continue;
    const label = labelled(page, section, name);
    const before = options && (await label.locator("select").inputValue());
    let last = await viewOf(page, section);
    const others = options?.filter((o) => o !== before);
    const steps = options ? [...others.slice(0, 2), ...others.slice(2).slice(-1), before] : [0, 1];
    let distinct = 0;
    for (const step of steps) {
      if (options) await label.locator("select").selectOption(step);
      else await label.locator("input").click();
      const now = await viewOf(page, section);
      if (now !== last) distinct++;
      last = now;
    }
    assert.ok(distinct > 0 || mayBeSame(name), `${section}: '${name}' changes nothing`);
    if (distinct) changed++;
  }
  return changed;
}

/** The front by its definition: every pair of points compared. */
function frontOf(points) {
  const beats = (a, b) => a[0] <= b[0] && a[1] <= b[1] && (a[0] < b[0] || a[1] < b[1]);
  return points.filter((p) => !points.some((other) => beats(other, p)));
}

export const scenarios = {
  async pictures_show_the_results({ browser, page: path, shots }) {
    const { page, data, done } = await open(browser, path("grid"));
    assert.equal(await text(page, "h1"), data.title);
    const ids = await page.$$eval("main > section", (list) => list.map((s) => s.id));
    assert.deepEqual(ids, ["recommendation", "pareto", "curves", "heatmap", "stages", "table", "method"]);
    for (const id of PICTURES) assert.ok((await page.locator(`#${id} svg path`).count()) > 10, `${id} is drawn`);
    const option = await optionOf(page, "pareto");
    const [x, y] = [metric(data, "doorbells_per_io"), metric(data, "p99_us")];
    const drawn = pointsOf(option);
    assert.equal(drawn.length, data.points.length);
    for (const { value, point } of drawn) {
      const { mean } = data.points[point];
      assert.ok(close(value[0], mean[x]) && close(value[1], mean[y]), `point ${point}: ${value}`);
    }
    const front = option.series.find((series) => series.name === "Pareto front").data;
    const expected = frontOf(data.points.map(({ mean }) => [mean[x], mean[y]])).sort((a, b) => a[0] - b[0]);
    assert.equal(front.length, expected.length);
    front.forEach((at, i) => assert.ok(close(at[0], expected[i][0]) && close(at[1], expected[i][1])));
    const bars = option.series.find((series) => series.name === "intervals").data;
    const { mean, half } = data.points[5];
    assert.ok(
      bars.some(({ value }) => close(value[4], mean[y] - half[y]) && close(value[5], mean[y] + half[y])),
      "intervals are drawn",
    );
    await shoot(browser, page, `${shots}/desktop.png`);
    await done();
  },

  async curves_and_knees_are_right({ browser, page: path }) {
    const { page, data, done } = await open(browser, path("grid"));
    const option = await optionOf(page, "curves");
    const lines = option.series.filter((series) => series.type === "line");
    assert.equal(lines.length, 4); // one a hold-off, the mode fixed
    const [x, y] = [metric(data, "iops"), metric(data, "p99_us")];
    for (const line of lines) {
      assert.equal(line.data.length, 8);
      const powers = line.data.map(({ point }) => data.points[point].mean[x] / data.points[point].mean[y]);
      const best = powers.indexOf(Math.max(...powers));
      const said = await page.locator("#curves li", { hasText: `notify.holdoff_ns=${line.name}:` }).innerText();
      const depth = data.axes[1].values[data.points[line.data[best].point].at[1]];
      assert.match(
        said,
        best === 0 || best === 7 ? /no knee within the range/ : new RegExp(`knee at job.iodepth=${depth},`),
      );
    }
    const busy = await optionOf(page, "stages", 1);
    const core = busy.series.find((series) => series.name === "core load");
    core.data.forEach(({ value, point }) =>
      assert.ok(close(value, 100 * data.points[point].mean[metric(data, "core_load")])),
    );
    const stages = await optionOf(page, "stages", 0);
    const sum = stages.series.reduce((total, series) => total + series.data[0].value, 0);
    const whole = data.points[stages.series[0].data[0].point].mean[metric(data, "mean_us")];
    assert.ok(Math.abs(sum - whole) < 0.01 * whole, `stages of ${sum} make up ${whole}`);
    await done();
  },

  async heat_map_cells_are_right({ browser, page: path }) {
    const { page, data, done } = await open(browser, path("grid"));
    await choose(page, "heatmap", "Across", "notify.holdoff_ns");
    await choose(page, "heatmap", "Up", "notify.mode");
    await choose(page, "heatmap", "Figure", "core load");
    await choose(page, "heatmap", "job.iodepth", "all");
    const at = metric(data, "core_load");
    for (const [how, put] of [
      ["mean", (list) => list.reduce((a, b) => a + b) / list.length],
      ["lowest", (list) => Math.min(...list)],
      ["highest", (list) => Math.max(...list)],
    ]) {
      await choose(page, "heatmap", "Cells with several points show their", how);
      const { series } = await optionOf(page, "heatmap");
      assert.equal(series[0].data.length, 8);
      for (const { value } of series[0].data) {
        const own = data.points.filter((p) => p.at[0] === value[0] && p.at[2] === value[1]).map((p) => p.mean[at]);
        assert.ok(close(value[2], 100 * put(own)), `${how} of ${own}: ${value[2]}`);
      }
      assert.match(await text(page, "#heatmap .caption"), new RegExp(`8 points and show the ${how}`));
    }
    await done();
  },

  async every_control_changes_what_is_seen({ browser, page: path }) {
    const { page, done } = await open(browser, path("grid"));
    for (const id of PICTURES) assert.ok((await tryControls(page, id)) >= 3, id);
    const before = await optionOf(page, "pareto");
    await page.locator("#pareto .chip").nth(1).click();
    const after = await optionOf(page, "pareto");
    assert.notEqual(before.xAxis[0].name, after.xAxis[0].name);
    await done();
  },

  async filters_leave_points_out_everywhere({ browser, page: path }) {
    const { page, data, done } = await open(browser, path("grid"));
    await page.locator("#tools summary").click();
    await page.locator("#tools fieldset", { hasText: "notify.mode" }).getByLabel("fifo").uncheck();
    assert.equal(pointsOf(await optionOf(page, "pareto")).length, 32);
    assert.equal(await page.locator("#table tbody tr").count(), 32);
    await page.getByLabel("Only points that satisfy the constraints").check();
    const good = data.points.filter((p) => p.meets && p.at[2] === 0).length;
    assert.ok(good > 0 && good < 32);
    assert.equal(pointsOf(await optionOf(page, "pareto")).length, good);
    assert.match(await text(page, "#tools summary"), new RegExp(`${good} of 64`));
    await page.getByRole("button", { name: "Show all points" }).click();
    assert.equal(pointsOf(await optionOf(page, "pareto")).length, 64);
    for (const box of await page.locator("#tools fieldset").nth(0).locator("input").all()) await box.uncheck();
    for (const id of PICTURES) assert.equal(await page.locator(`#${id} .empty`).first().isVisible(), true);
    assert.equal(await page.locator("#table tbody tr").count(), 0);
    await done();
  },

  async table_sorts_and_filters({ browser, page: path }) {
    const { page, data, done } = await open(browser, path("grid"));
    const column = (
      await page.$$eval("#table thead tr:first-child th", (list) => list.map((th) => th.textContent))
    ).findIndex((t) => t.startsWith("p99 latency"));
    const cells = () =>
      page.$$eval("#table tbody tr", (rows, c) => rows.map((row) => parseFloat(row.children[c].textContent)), column);
    const heading = page.locator("#table thead button").nth(column);
    await heading.click();
    const up = await cells();
    assert.deepEqual(
      up,
      [...up].sort((a, b) => a - b),
    );
    assert.equal(await page.locator("#table th[aria-sort=ascending]").innerText(), await heading.innerText());
    await heading.click();
    assert.deepEqual(
      await cells(),
      [...up].sort((a, b) => b - a),
    );
    const bound = data.points.map((p) => p.mean[metric(data, "p99_us")]).sort((a, b) => a - b)[20] * 1.0001;
    await page.locator("#table .filters input").nth(column).fill(`<= ${bound}`);
    assert.equal(await page.locator("#table tbody tr").count(), 21);
    await page.getByLabel("Filter notify.mode").fill("=fifo");
    const few = await page.locator("#table tbody tr").count();
    assert.ok(few > 0 && few < 21);
    assert.match(await text(page, "#table .note"), new RegExp(`^${few} of 64`));
    await page.getByRole("button", { name: "Clear filters" }).click();
    assert.equal(await page.locator("#table tbody tr").count(), 64);
    await page.locator("#table summary").click();
    await page.locator("#table .chooser").getByLabel("core_wait").check();
    assert.ok(
      (await page.$$eval("#table thead th", (list) => list.map((th) => th.textContent))).some((t) =>
        t.startsWith("core_wait"),
      ),
    );
    const wide = await text(page, "#table tbody tr");
    await page.locator("#table").getByLabel("Confidence intervals").uncheck();
    assert.ok(wide.includes("±") && !(await text(page, "#table tbody tr")).includes("±"));
    await done();
  },

  async points_give_their_command({ browser, page: path }) {
    const { page, data, done } = await open(browser, path("grid"));
    const place = await page.evaluate(() => {
      const box = document.querySelector("#pareto .chart");
      const series = box.chart
        .getOption()
        .series.findIndex((s) => s.type === "scatter" && s.data.some((d) => d.point === 9));
      const item = box.chart.getOption().series[series].data.find((d) => d.point === 9);
      box.scrollIntoView({ block: "center" });
      const [x, y] = box.chart.convertToPixel({ seriesIndex: series }, item.value);
      const frame = box.querySelector(".canvas").getBoundingClientRect();
      return { x: frame.left + x, y: frame.top + y };
    });
    const command = data.points[9].command + data.points[9].runs[0].tail;
    await page.mouse.move(place.x, place.y);
    await page.waitForSelector("#pareto .tip code");
    assert.equal(await text(page, "#pareto .tip code"), command);
    assert.match(await text(page, "#pareto .tip"), /p99 latency\s+[\d.]+ ± [\d.]+\sµs/);
    await page.mouse.click(place.x, place.y);
    await page.waitForFunction(() => document.getElementById("toast").classList.contains("shown"));
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
    assert.match(await text(page, "#panel h2"), /Point 9/);
    assert.equal(await page.locator("#panel .runs li").count(), 3);
    await page.locator("#panel .runs button").nth(1).click();
    assert.equal(
      await page.evaluate(() => navigator.clipboard.readText()),
      data.points[9].command + data.points[9].runs[1].tail,
    );
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#panel").isVisible(), false);
    await page.locator("#table tbody tr").nth(4).getByRole("button", { name: /Copy/ }).click();
    assert.equal(
      await page.evaluate(() => navigator.clipboard.readText()),
      data.points[4].command + data.points[4].runs[0].tail,
    );
    await done();
  },

  async keyboard_reaches_every_point({ browser, page: path }) {
    const { page, data, done } = await open(browser, path("grid"));
    for (const id of PICTURES) {
      await page.locator(`#${id} .chart`).first().focus();
      await page.keyboard.press("ArrowRight");
      await page.waitForSelector(`#${id} .tip`);
      const first = await page.locator(`#${id} figure [aria-live]`).first().textContent();
      await page.keyboard.press("ArrowRight");
      const second = await page.locator(`#${id} figure [aria-live]`).first().textContent();
      assert.ok(first.length > 20 && second.length > 20 && first !== second, id);
      await page.keyboard.press("Enter");
      assert.match(await text(page, "#panel h2"), /Point \d+/);
      await page.keyboard.press("Escape");
      assert.equal(
        await page.evaluate((section) => document.activeElement.closest("section")?.id === section, id),
        true,
        "focus goes back",
      );
    }
    const seen = new Set();
    await page.locator("#pareto .chart").focus();
    for (let i = 0; i < data.points.length; i++) {
      await page.keyboard.press("ArrowRight");
      seen.add(await page.locator("#pareto figure [aria-live]").textContent());
    }
    assert.equal(seen.size, data.points.length);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Save picture");
    await done();
  },

  async pictures_can_be_saved({ browser, page: path }) {
    const { page, done } = await open(browser, path("grid"));
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.locator("#stages figure button").first().click(),
    ]);
    assert.equal(download.suggestedFilename(), "stages-of-a-request.svg");
    await done();
  },

  async themes_are_readable({ browser, page: path }) {
    for (const scheme of ["light", "dark"]) {
      const { page, done } = await open(browser, path("grid"), { scheme });
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), scheme);
      await page.locator("#table tbody th button").first().click();
      assert.deepEqual(await faintTexts(page), []);
      const other = scheme === "light" ? "dark" : "light";
      const before = await optionOf(page, "pareto");
      await page.locator("#tools select").selectOption(other);
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), other);
      assert.notEqual(JSON.stringify(before.series), JSON.stringify((await optionOf(page, "pareto")).series));
      await page.locator("#tools select").selectOption("auto");
      await page.emulateMedia({ colorScheme: other });
      await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, other);
      await done();
    }
  },

  async phone_is_readable({ browser, page: path, shots }) {
    const { page, done } = await open(browser, path("grid"), { size: "phone", scheme: "dark" });
    await shoot(browser, page, `${shots}/phone.png`);
    for (const id of PICTURES) {
      const box = await page.locator(`#${id} .chart`).first().boundingBox();
      assert.ok(box.width > 300 && box.width <= 390 && box.height >= 200, `${id}: ${JSON.stringify(box)}`);
    }
    const small = await page.$$eval("button, select, summary, input[type=text]", (list) =>
      list.filter((n) => n.checkVisibility() && n.getBoundingClientRect().height < 24).map((n) => n.textContent),
    );
    assert.deepEqual(small, []);
    await page.locator("#table tbody th button").first().tap();
    const panel = await page.locator("#panel").boundingBox();
    assert.ok(panel.width <= 390 && panel.y > 150, JSON.stringify(panel));
    await done();
  },

  async recommendation_says_what_is_certain({ browser, page: path, shots }) {
    const cases = [
      ["winner", /clear winner/, /better than each of the others beyond chance/],
      ["grid", /tied|clear winner|the only one/, /Highest iops/],
      ["none", /no point satisfies/, /Nearest is point/],
      ["failed", /nothing to recommend/, /no point has all its runs/],
    ];
    for (const [name, badge, words] of cases) {
      const { page, data, done } = await open(browser, path(name));
      assert.match(await text(page, "#recommendation .badge"), badge, name);
      const said = await text(page, "#recommendation .sentences");
      assert.match(said, words, name);
      assert.equal(await page.locator("#recommendation .sentences li").count(), data.recommendation.text.length);
      if (name === "winner") {
        assert.equal(
          await page.locator("#recommendation .command code").innerText(),
          data.points[1].command + data.points[1].runs[0].tail,
        );
        assert.match(await text(page, "#recommendation .gains tbody tr"), /doorbells per I\/O.*better/s);
      }
      if (name === "none") assert.equal(await page.locator("#recommendation .checks-list").count(), 3);
      if (name === "winner" || name === "none") await shoot(browser, page, `${shots}/${name}.png`);
      await done();
    }
  },

  async hostile_texts_stay_texts({ browser, page: path, shots }) {
    for (const size of ["desktop", "phone"]) {
      const { page, done } = await open(browser, path("hostile"), { size });
      if (size === "desktop")
        for (const id of [...PICTURES, "table"]) await tryControls(page, id, { mayBeSame: () => true });
      for (const id of size === "desktop" ? PICTURES : []) {
        await page.locator(`#${id} .chart`).first().focus();
        for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
        await page.keyboard.press("Enter");
        await page.keyboard.press("Escape");
      }
      await page.locator("#table summary").click();
      await page.locator("#table thead button").nth(1).click();
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      assert.equal(await page.locator("img, iframe, object, link[rel=stylesheet]").count(), 0);
      assert.equal(await page.locator("script").count(), 2);
      assert.equal(await text(page, "h1"), HOSTILE.script + HOSTILE.image);
      assert.ok((await text(page, "#failures")).includes(`${HOSTILE.script}${HOSTILE.image}\\u202eabc\\u2028def`));
      const seen = await page.locator("#table thead").innerText();
      assert.ok(seen.includes(HOSTILE.image) && seen.includes("{a|x}"));
      await shoot(browser, page, `${shots}/hostile-${size}.png`);
      await done();
    }
  },

  async missing_and_odd_figures_are_shown_as_such({ browser, page: path, shots }) {
    const { page, done } = await open(browser, path("odd"));
    assert.match(await text(page, "#failures"), /watchdog: nothing was completed for 10 ms/);
    assert.equal(await page.locator("#failures .failures > li").count(), 2);
    assert.match(await text(page, "#pareto .caption"), /without these figures left out/);
    const rows = await page.$$eval("#table tbody tr", (list) => list.map((row) => row.textContent));
    assert.equal(rows.length, 5); // the failed one is in the list below
    assert.ok(rows.some((row) => /–/.test(row)) && rows.some((row) => /×10/.test(row)));
    assert.equal(rows.filter((row) => /NaN|undefined|null|Infinity/.test(row)).length, 0);
    assert.doesNotMatch(await page.locator("main").innerText(), /NaN|undefined|Infinity/);
    for (const id of ["pareto", "curves", "stages"]) await tryControls(page, id, { mayBeSame: () => true });
    await shoot(browser, page, `${shots}/odd.png`);
    await done();
  },

  async one_point_is_enough({ browser, page: path, shots }) {
    const { page, done } = await open(browser, path("one"), { size: "phone" });
    assert.equal(pointsOf(await optionOf(page, "pareto")).length, 1);
    assert.match(await text(page, "#recommendation .badge"), /the only one/);
    assert.equal(await page.locator("#heatmap").count(), 0);
    assert.equal(await page.locator("#table tbody tr").count(), 1);
    assert.doesNotMatch(await page.locator("main").innerText(), /NaN|undefined|Infinity/);
    for (const id of ["pareto", "curves", "stages"]) await tryControls(page, id, { mayBeSame: () => true });
    await shoot(browser, page, `${shots}/one.png`);
    await done();
  },

  async five_hundred_points_are_shown({ browser, page: path, shots }) {
    const { page, data, done } = await open(browser, path("large"));
    await page.waitForSelector("#table tbody tr:nth-child(500)");
    assert.equal(pointsOf(await optionOf(page, "pareto")).length, 500);
    assert.equal(data.points[0].runs.length, 5);
    const cells = (await optionOf(page, "heatmap")).series[0].data.length;
    assert.ok(cells > 50 && cells <= 400, `${cells} cells`);
    const before = await viewOf(page, "heatmap");
    await choose(page, "heatmap", "Figure", "core load");
    assert.notEqual(await viewOf(page, "heatmap"), before);
    await page.getByLabel("Filter device.offload").fill("=full");
    const offload = data.axes.findIndex((axis) => axis.name === "device.offload");
    const full = data.points.filter((p) => data.axes[offload].values[p.at[offload]] === "full");
    assert.equal(await page.locator("#table tbody tr").count(), full.length);
    await shoot(browser, page, `${shots}/large.png`);
    await done();
  },

  async without_scripts_it_says_so({ browser, page: path }) {
    const { page, done } = await open(browser, path("grid"), { script: false });
    assert.match(await text(page, "noscript"), /needs JavaScript/);
    await done();
  },

  async a_real_sweep_is_shown({ browser, page: path, shots }) {
    const { page, data, done } = await open(browser, path("real"));
    assert.ok(data.points.length >= 8);
    assert.equal(await page.locator("#failures").count(), 0);
    for (const id of PICTURES) assert.ok((await page.locator(`#${id} svg path`).count()) > 10, id);
    const iops = data.points.map((p) => p.mean[metric(data, "iops")]);
    assert.ok(iops.every((v) => v > 1000));
    assert.match(data.points[0].command, /^kickstand run --job jobs\/[0-9a-f]{16}\.fio /);
    const total = (p) => data.metrics.reduce((sum, m, i) => sum + (m.role === "stage" ? p.mean[i] : 0), 0);
    for (const p of data.points)
      assert.ok(Math.abs(total(p) / 1000 / p.mean[metric(data, "mean_us")] - 1) < 0.01, "stages add up to the mean latency");
    await shoot(browser, page, `${shots}/real.png`);
    await done();
  },
};

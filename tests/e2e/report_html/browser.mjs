// A page in headless Chromium, with everything watched that must not happen.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const { chromium } = createRequire(resolve("build/report-ui/package.json"))("playwright-core");

export const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export const start = () => chromium.launch({ executablePath: process.env.KICKSTAND_CHROMIUM ?? "/usr/bin/chromium" });

/** Opens a page; `done()` closes it and fails if it complained or asked for anything. */
export async function open(browser, path, { size = "desktop", scheme = "light", script = true } = {}) {
  const phone = size === "phone";
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: scheme,
    javaScriptEnabled: script,
    hasTouch: phone,
    isMobile: phone,
    deviceScaleFactor: 1,
  });
  await context.setOffline(true);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  context.setDefaultTimeout(30000);
  const page = await context.newPage();
  const troubles = [];
  page.on("console", (message) => troubles.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => troubles.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => troubles.push(`dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && request.url() !== url) troubles.push(`request: ${request.url()}`);
  });
  const url = `file://${resolve(path)}`;
  await page.goto(url);
  const data = JSON.parse(readFileSync(path, "utf8").match(/id="data">(.*?)<\/script>/s)[1]);
  const done = async () => {
    await context.close();
    assert.deepEqual(troubles, []);
  };
  return { page, data, done };
}

/** What ECharts has been given: its option, of the n-th chart of a section. */
export const optionOf = (page, section, n = 0) =>
  page.evaluate(
    ([id, i]) => {
      const box = document.querySelectorAll(`#${id} .chart`)[i];
      if (!box || box.hidden || !box.chart) return null;
      const { series, xAxis, yAxis, legend, visualMap } = box.chart.getOption();
      return JSON.parse(JSON.stringify({ series, xAxis, yAxis, legend, visualMap }));
    },
    [section, n],
  );

/** A number for everything that a person could see change in a section. */
export const viewOf = (page, section) =>
  page.evaluate((id) => {
    const node = document.getElementById(id);
    const charts = [...node.querySelectorAll(".chart")].map((box) =>
      box.hidden ? null : box.querySelector("svg")?.outerHTML,
    );
    const all = JSON.stringify([
      charts,
      [...node.querySelectorAll(".caption, .empty, .note, tbody")].map((n) => n.textContent),
    ]);
    let hash = 0;
    for (let i = 0; i < all.length; i++) hash = (Math.imul(hash, 31) + all.charCodeAt(i)) | 0;
    return hash;
  }, section);

/** Fails if a picture is blank, or the page wider than the window. */
export async function shoot(browser, page, path) {
  const png = await page.screenshot({ path, fullPage: true });
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(wide <= window, `the page is ${wide} wide in a window of ${window}`);
  const helper = await browser.newPage();
  const shares = await helper.evaluate(async (bytes) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${bytes}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pixels = canvas.getContext("2d");
    pixels.drawImage(image, 0, 0);
    const counts = new Map();
    const { data } = pixels.getImageData(0, 0, image.width, image.height);
    for (let i = 0; i < data.length; i += 4 * 7) {
      const colour = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    return { colours: counts.size, largest: Math.max(...counts.values()) / (data.length / 28) };
  }, png.toString("base64"));
  await helper.close();
  assert.ok(shares.colours > 50 && shares.largest < 0.97, `a blank picture: ${JSON.stringify(shares)}`);
}

/** Texts whose contrast with what is behind them is below WCAG's 4.5 (3 for large ones). */
export const faintTexts = (page) =>
  page.evaluate(() => {
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = (colour) => {
      const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const backOf = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const back = channels(getComputedStyle(at).backgroundColor);
        if (back.length < 4 || back[3] > 0) return back;
      }
      return [255, 255, 255];
    };
    const faint = [];
    for (const node of document.querySelectorAll("body *:not(tr:nth-child(n + 9) *)")) {
      const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
      if (!own || !node.checkVisibility() || node.closest(".offscreen, .skip, script, style, #toast")) continue;
      const style = getComputedStyle(node);
      const chart = node.closest("svg");
      if (chart && node.tagName !== "text") continue;
      const ink = luminance(channels(chart ? style.fill : style.color));
      if (chart && node.closest("#heatmap") && /^[\d.,×⁻⁰-⁹ ]+$/.test(node.textContent)) continue; // on the cell's own colour
      const back = luminance(backOf(chart ? chart.parentElement : node));
      const contrast = (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
      if (contrast < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5))
        faint.push(`${node.tagName} "${node.textContent.trim().slice(0, 40)}" ${contrast.toFixed(2)}`);
    }
    return faint;
  });

// Takes the pictures of docs/studies anew, from reports in DIR/STUDY/report.html:
//
//     for study in docs/studies/*/; do build/kickstand sweep $study/study.ini --out DIR/$(basename $study); done
//     node tools/report-ui/pictures.mjs DIR
//
// A picture is a chart of the report: its section, what is selected there, and which of the section's charts.

import { createRequire } from "node:module";
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";

const { chromium } = createRequire(resolve("build/report-ui/package.json"))("playwright-core");

const PICTURES = [
  [
    "hold-off/p99.png",
    "heatmap",
    { Across: "notify.threshold", Up: "notify.holdoff_ns", Figure: "p99 latency", "job.iodepth": "32" },
  ],
  [
    "hold-off/services.png",
    "heatmap",
    { Across: "notify.threshold", Up: "notify.holdoff_ns", Figure: "queue services per I/O", "job.iodepth": "32" },
  ],
  ["hold-off/stages.png", "stages", { Along: "notify.holdoff_ns", "job.iodepth": "32", "notify.threshold": "0" }],
  ["adaptive/p50.png", "heatmap", { Across: "job.iodepth", Up: "policy", Figure: "p50 latency" }],
  ["adaptive/services.png", "heatmap", { Across: "job.iodepth", Up: "policy", Figure: "queue services per I/O" }],
  [
    "event-idx/direct.png",
    "heatmap",
    { Across: "job.iodepth", Up: "policy", Figure: "IOPS", "host.mmio_write_ns": "50" },
  ],
  [
    "event-idx/trapped.png",
    "heatmap",
    { Across: "job.iodepth", Up: "policy", Figure: "IOPS", "host.mmio_write_ns": "6500" },
  ],
  [
    "notification-data/stages.png",
    "stages",
    { Along: "virtio.notification_data", "job.iodepth": "1", "device.offload": "fetch", "link.root_complex_ns": "390" },
  ],
  [
    "notification-data/curves.png",
    "curves",
    {
      "Follow along": "job.iodepth",
      "One curve for each": "virtio.notification_data",
      "device.offload": "fetch",
      "link.root_complex_ns": "1200",
    },
  ],
  [
    "polling/trapped-p50.png",
    "heatmap",
    { Across: "job.rate_iops", Up: "core.poll_ns", Figure: "p50 latency", "host.mmio_write_ns": "6500" },
  ],
  [
    "polling/core-load.png",
    "heatmap",
    { Across: "job.rate_iops", Up: "core.poll_ns", Figure: "core load", "host.mmio_write_ns": "50" },
  ],
  [
    "one-core/iops.png",
    "heatmap",
    { Across: "queues", Up: "device.offload", Figure: "IOPS", "fetch.batch": "16", "job.iodepth": "64" },
  ],
  ["one-core/stages.png", "stages", { Along: "queues", "device.offload": "fetch", "fetch.batch": "16", "job.iodepth": "64" }],
  [
    "pcie/large.png",
    "heatmap",
    { Across: "link.lanes", Up: "link.gen", Figure: "data rate", "link.mps": "256", job: "large.fio" },
  ],
  [
    "pcie/random.png",
    "heatmap",
    { Across: "link.lanes", Up: "link.gen", Figure: "IOPS", "link.mps": "256", job: "random.fio" },
  ],
  ["recorded-guest/stages.png", "stages", { Along: "setting" }],
];

const dir = process.argv[2];
const browser = await chromium.launch({ executablePath: process.env.KICKSTAND_CHROMIUM ?? "/usr/bin/chromium" });
for (const [file, section, choices, chart = 0] of PICTURES) {
  const report = resolve(dir, file.split("/")[0], "report.html");
  if (!existsSync(report)) continue;
  const page = await browser.newPage({ viewport: { width: 860, height: 900 }, colorScheme: "light" });
  await page.goto(`file://${report}`);
  for (const [label, option] of Object.entries(choices)) {
    const named = page.locator("> span").getByText(label, { exact: true });
    await page.locator(`#${section} label.choice`, { has: named }).locator("select").selectOption({ label: option });
  }
  const out = resolve("docs/studies", file);
  await page.locator(`#${section} .chart`).nth(chart).screenshot({ path: out, animations: "disabled" });
  console.log(`${file}: ${Math.ceil(statSync(out).size / 1024)} KiB; ${await page.locator(`#${section} .caption`).first().textContent()}`);
  await page.close();
}
await browser.close();

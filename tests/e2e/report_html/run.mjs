// Makes pages in FOLDER with the program and looks at them in a browser:
//   run.mjs PROGRAM FOLDER PICTURES [--pages-only] [--only SCENARIO]
// Prints "ok NAME", or "failed NAME" and why, a line each.

import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";

import { makeSweep, NAMES } from "./sweeps.mjs";

const [program, folder, shots, ...rest] = process.argv.slice(2);
const only = rest.includes("--only") ? rest[rest.indexOf("--only") + 1] : null;
const real = `${folder}/real`;

function report(name, action) {
  try {
    return action();
  } catch (error) {
    console.log(`failed ${name}: ${error.stderr ?? error.stack}`);
    return null;
  }
}

function makePages() {
  mkdirSync(shots, { recursive: true });
  for (const name of NAMES) {
    makeSweep(name, `${folder}/${name}`);
    execFileSync(program, ["sweep", "--report", "--out", `${folder}/${name}`], { stdio: "pipe" });
    statSync(`${folder}/${name}/report.html`);
  }
  execFileSync(program, ["sweep", "tests/e2e/report_html/real.ini", "--out", real], { stdio: "pipe" });
  statSync(`${real}/report.html`);
  return true;
}

const made = report("pages_are_written", makePages);
if (made) console.log("ok pages_are_written ");
if (made && !rest.includes("--pages-only")) {
  const { start } = await import("./browser.mjs");
  const { scenarios } = await import("./scenarios.mjs");
  const browser = await start();
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (only && only !== name) continue;
    const began = Date.now();
    try {
      await scenario({ browser, shots, page: (sweep) => `${folder}/${sweep}/report.html` });
      console.log(`ok ${name} ${Date.now() - began} ms`);
    } catch (error) {
      console.log(`failed ${name}: ${error.stack}`);
    }
  }
  await browser.close();
}

// Bundles the page: build.mjs OUT, where OUT/node_modules is what package-lock.json asks for. Writes OUT/head.html and
// OUT/tail.html; the program puts its data between the two (host-sim/sweep/report_html.c).

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const out = resolve(process.argv[2]);
const here = dirname(fileURLToPath(import.meta.url));
const esbuild = createRequire(join(out, "package.json"))("esbuild");

const result = esbuild.buildSync({
  entryPoints: [join(here, "src/main.js")],
  nodePaths: [join(out, "node_modules")],
  outdir: out,
  entryNames: "report",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2021"],
  charset: "utf8",
  legalComments: "none",
  write: false,
});
const text = (ending) => result.outputFiles.find((file) => file.path.endsWith(ending)).text.trim();
const script = text(".js").replaceAll("</script", "<\\/script");
const style = text(".css");

// Nothing may be loaded, and no other script may run, whatever the data holds.
const hash = createHash("sha256").update(script).digest("base64");
const policy = `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;

const licenceOf = (name, ...files) =>
  `${name}\n\n${files.map((file) => readFileSync(join(out, "node_modules", name, file), "utf8").trim()).join("\n\n")}`;
const licences = [
  licenceOf("echarts", "NOTICE", "LICENSE"),
  licenceOf("zrender", "LICENSE"),
  licenceOf("tslib", "LICENSE.txt"),
]
  .join("\n\n----\n\n")
  .replaceAll("--", "- -");

const parts = { POLICY: policy, STYLE: style, SCRIPT: script, LICENCES: licences };
const page = readFileSync(join(here, "src/page.html"), "utf8").replace(/@([A-Z]+)@/g, (mark, name) => parts[name] ?? mark);
const [head, tail] = page.split("@DATA@");
writeFileSync(join(out, "head.html"), head);
writeFileSync(join(out, "tail.html"), tail);

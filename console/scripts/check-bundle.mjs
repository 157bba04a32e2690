// Fails the build when the first load grows past its budget, or when a built file names another host to load from.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const FIRST_LOAD_BUDGET_BYTES = 300_000;
const dist = new URL("../dist", import.meta.url).pathname;
const page = readFileSync(join(dist, "index.html"), "utf8");

const fail = (message) => {
  console.error(message);
  process.exitCode = 1;
};

const gzipBytes = (file) => gzipSync(readFileSync(join(dist, file))).length;
const named = [...page.matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map((match) => match[1]);
// What an entry imports statically is loaded with it, named in the page or not.
const first = new Set(named);
for (const file of first) {
  const source = readFileSync(join(dist, file), "utf8");
  for (const [, imported] of source.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) first.add(join("assets", imported));
}
const total = [...first].reduce((sum, file) => sum + gzipBytes(file), 0);
console.log(`first load: ${(total / 1000).toFixed(1)} kB of compressed JavaScript in ${first.size} files`);
if (total > FIRST_LOAD_BUDGET_BYTES) fail(`that is more than the budget of ${FIRST_LOAD_BUDGET_BYTES / 1000} kB`);

if (/<script(?![^>]*\bsrc=)[^>]*>/.test(page)) fail("index.html has an inline script, which the page's policy forbids");
if (/(?:src|href)="(?:https?:)?\/\//.test(page)) fail("index.html loads something from another host");
for (const file of readdirSync(join(dist, "assets")).filter((name) => name.endsWith(".css"))) {
  const style = readFileSync(join(dist, "assets", file), "utf8");
  if (/(?:url\(|@import\s+)["']?(?:https?:)?\/\//.test(style)) fail(`${file} loads something from another host`);
}

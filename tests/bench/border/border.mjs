// What it costs a Node host to take 1,000 events of 1,899 bytes from a component: as a list, and as one text that it cuts.
//
//     embed/python/.venv/bin/python tests/bench/border/border.py && node tests/bench/border/border.mjs

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const top = new URL('../../../', import.meta.url);
const jco = createRequire(new URL('embed/node/', top)).resolve('@bytecodealliance/jco-transpile');
const { transpile } = await import(pathToFileURL(jco));
const component = fileURLToPath(new URL('dist/border.wasm', top));
const { files } = await transpile(component, { name: 'border', instantiation: 'async' });
const folder = await mkdtemp(join(tmpdir(), 'border-'));
await writeFile(join(folder, 'package.json'), '{"type":"module"}');
for (const name of ['border.js', 'border.core.wasm']) await writeFile(join(folder, name), files[name]);
const { instantiate } = await import(pathToFileURL(join(folder, 'border.js')));
const { list, text } = await instantiate((name) => WebAssembly.compile(files[name]), {});
await rm(folder, { recursive: true });

const ways = { 'a list': () => list(), 'one text': () => text().split('\n') };
const times = { 'a list': [], 'one text': [] };
if (list().join('\n') + '\n' !== text()) throw new Error('not the same');
for (let round = 0; round < 201; round += 1) {
  for (const [what, take] of Object.entries(ways)) {
    const start = performance.now();
    take();
    times[what].push(performance.now() - start);
  }
}
for (const [what, all] of Object.entries(times)) {
  all.sort((a, b) => a - b);
  console.log(`Node, ${what}: ${all[100].toFixed(2)} µs an event, ${all[0].toFixed(2)} at best`);
}

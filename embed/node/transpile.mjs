// Turns a component into an ES module: `npm run transpile -- ../../dist/source.wasm` makes transpiled/source.js beside
// this file. That module takes its imports from the host, which so decides what the component may do.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transpile } from '@bytecodealliance/jco-transpile';

const component = process.argv[2];
if (!component) {
  console.error('usage: transpile.mjs COMPONENT.wasm');
  process.exit(2);
}
// npm runs scripts in the folder of package.json, and says in INIT_CWD where its user stands.
const { files } = await transpile(resolve(process.env.INIT_CWD ?? '', component), {
  name: basename(component, '.wasm'),
  instantiation: 'async',
  emitTypescriptDeclarations: false,
  noComponentErrorWrapping: false, // so that an error of the contract has a `payload`, and a crash has none
});
const folder = fileURLToPath(new URL('transpiled', import.meta.url));
await rm(folder, { recursive: true, force: true });
await mkdir(folder);
for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);

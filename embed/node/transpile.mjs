// The build step, from a checkout: `npm run transpile -- ../../dist/source.wasm` makes transpiled/source.js beside this file.

import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transpile } from './src/transpile.js';

const component = process.argv[2];
if (!component) {
  console.error('usage: transpile.mjs COMPONENT.wasm');
  process.exit(2);
}
const folder = fileURLToPath(new URL('transpiled', import.meta.url));
await rm(folder, { recursive: true, force: true });
// npm runs scripts in the folder of package.json, and says in INIT_CWD where its user stands.
await transpile(resolve(process.env.INIT_CWD ?? '', component), folder);

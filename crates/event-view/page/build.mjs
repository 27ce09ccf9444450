// Makes page/dist of page/src: what event-view has in it. Each file is compressed; all of them together are held to 500 KB.
import { build } from 'esbuild';
import { feature } from 'topojson-client';
import { createRequire } from 'node:module';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const LIMIT = 500 * 1000;
const folder = new URL('dist/', import.meta.url);
const require = createRequire(import.meta.url);

const { outputFiles } = await build({
  entryPoints: [new URL('src/main.js', import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  write: false,
});

// Countries by their codes of two letters, with a hundredth of a degree: nobody sees more on a map of the world.
const codes = new Map(require('i18n-iso-countries/codes.json').map(([alpha2, , numeric]) => [numeric, alpha2]));
const atlas = JSON.parse(await readFile(require.resolve('world-atlas/countries-110m.json')));
const round = (value) => (typeof value === 'number' ? Math.round(value * 100) / 100 : value.map(round));
const world = {
  type: 'FeatureCollection',
  features: feature(atlas, atlas.objects.countries).features
    .filter(({ id }) => id !== '010')
    .map(({ id, properties, geometry }) => ({
      type: 'Feature',
      properties: { name: codes.get(id) ?? properties.name, title: properties.name },
      geometry: { type: geometry.type, coordinates: round(geometry.coordinates) },
    })),
};

await rm(folder, { recursive: true, force: true });
await mkdir(folder);
const files = {
  'index.html': await readFile(new URL('src/index.html', import.meta.url)),
  'page.css': await readFile(new URL('src/page.css', import.meta.url)),
  'page.js': outputFiles[0].contents,
  'world.json': JSON.stringify(world),
};
let sum = 0;
for (const [name, content] of Object.entries(files)) {
  const compressed = gzipSync(content, { level: 9 });
  sum += compressed.length;
  await writeFile(new URL(`${name}.gz`, folder), compressed);
}
console.log(`The page has ${Math.ceil(sum / 1000)} KB compressed.`);
if (sum > LIMIT) {
  console.error(`That is more than ${LIMIT / 1000} KB.`);
  process.exit(1);
}

// The package in somebody else's folder.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { COMPONENT, HOSTILE, config, folder, needsHostile, needsOrg, org, toml } from './support.js';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const exec = promisify(execFile);

/** A folder in which the package was installed by its path. */
async function installed() {
  const place = await folder();
  await writeFile(join(place, 'package.json'), '{"private":true,"type":"module"}');
  await exec('npm', ['install', '--offline', '--no-audit', '--no-fund', PACKAGE], { cwd: place });
  return place;
}

test('npx runs it where it was installed by its path', needsOrg, async (t) => {
  const [there, place] = [await org(t), await installed()];
  await toml(place, there);
  const { stderr } = await exec('npx', ['--offline', 'pipeline-source', 'source.toml', '--until-caught-up'], { cwd: place });
  assert.match(stderr, /^120 events from 4 files/m);
  assert.equal((await readFile(join(place, 'events.ndjson'), 'utf8')).split('\n').length, 121);
});

test('a program of fifteen lines collects, and a program that forgets to close ends all the same', needsOrg, async (t) => {
  const [there, place] = [await org(t), await installed()];
  await writeFile(
    join(place, 'collect.js'),
    `import { open } from 'pipeline-source';
const config = ${JSON.stringify(config(there))};
const source = await open(${JSON.stringify(COMPONENT)}, config, { state: 'state.json', untilCaughtUp: true });
let count = 0;
for await (const batch of source) {
  count += batch.events.length;
  await batch.ack();
}
console.log(count);
`,
  );
  const { stdout } = await exec(process.execPath, ['collect.js'], { cwd: place, timeout: 60_000 });
  assert.equal(stdout, '120\n');
});

test('what is packed is what it needs, and no more', async () => {
  const { stdout } = await exec('npm', ['pack', '--dry-run', '--json', '--offline'], { cwd: PACKAGE });
  const [{ files }] = JSON.parse(stdout);
  const tops = new Set(files.map(({ path }) => path.split('/')[0]));
  const [own, whole] = await Promise.all(['LICENSE', '../../LICENSE'].map((path) => readFile(join(PACKAGE, path), 'utf8')));
  assert.equal(own, whole);
  assert.deepEqual([...tops].sort(), ['LICENSE', 'README.md', 'bin', 'index.d.ts', 'package.json', 'src']);
});

test('it says what to do where its dependencies are not installed', needsHostile, async () => {
  const place = await folder();
  const bare = join(place, 'pipeline-source');
  await mkdir(bare);
  for (const part of ['bin', 'src', 'package.json']) await exec('cp', ['-r', join(PACKAGE, part), bare]);
  const run = exec(process.execPath, [join(bare, 'bin/pipeline-source.js'), HOSTILE, '--describe']);
  await assert.rejects(run, ({ code, stderr }) => code === 2 && /run `npm ci` in its folder/.test(stderr));
});

test('nothing in it names a registry', async () => {
  for (const place of [PACKAGE, join(PACKAGE, 'node-24')]) {
    const lock = await readFile(join(place, 'package-lock.json'), 'utf8');
    assert.doesNotMatch(lock, /"resolved"|https?:\/\/(?!github\.com|opencollective)[^"]*\.tgz/);
    assert.ok(existsSync(join(place, '.npmrc')));
  }
});

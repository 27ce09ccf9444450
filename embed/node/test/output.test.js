// The file of events, and who else may write to it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileOutput } from '../src/output.js';
import { COMPONENT, SOURCE_HOST, folder, needs, needsOrg, org, toml, until } from './support.js';

const isInUse = /another process writes to this file/;

test('of two that are to write to one file the second is refused, by whichever path', async () => {
  const [place, path] = [await folder(), join(await folder(), 'events.ndjson')];
  const [link, way] = [join(place, 'link'), join(place, 'way')];
  await symlink(path, link);
  await symlink(join(path, '..'), way);
  // Also where the link led nowhere when the first came.
  for (const [first, second] of [[link, path], [path, link], [path, join(way, 'events.ndjson')]]) {
    const held = await fileOutput(first);
    await assert.rejects(fileOutput(second), isInUse);
    await held.close();
    await (await fileOutput(second)).close();
  }
});

// The lock is taken by a program, in whose place stands one that first does what a host does which has the lock until then.
test('a file that was rotated before it held the lock is left alone', { skip: process.platform !== 'linux' }, async (t) => {
  const usual = process.env.PATH;
  t.after(() => (process.env.PATH = usual));
  for (const [anew, begun] of [['', ''], [`echo '{"n":2}' >"$path"`, '{"n":2}\n']]) {
    const [place, programs] = [await folder(), await folder()];
    const [path, link] = [join(place, 'events.ndjson'), join(place, 'link')];
    await writeFile(path, '{"n":1}\n');
    await symlink(path, link);
    const rotates = `#!/bin/sh\npath='${path}'\nmv "$path" "$path.1"\n${anew}\nPATH='${usual}' exec flock "$@"\n`;
    await writeFile(join(programs, 'flock'), rotates, { mode: 0o700 });
    process.env.PATH = `${programs}${delimiter}${usual}`;
    const output = await fileOutput(link);
    await output.write('{"n":3}\n');
    await output.close();
    assert.equal(await readFile(`${path}.1`, 'utf8'), '{"n":1}\n');
    assert.equal(await readFile(path, 'utf8'), `${begun}{"n":3}\n`);
  }
});

test('a file that is rotated between two batches is whole, and so is the next', async () => {
  const place = await folder();
  const [path, rotated, link] = ['events.ndjson', 'events.1', 'link'].map((name) => join(place, name));
  await symlink(path, link);
  const output = await fileOutput(link);
  await output.write('{"n":1}\n');
  await rename(path, rotated);
  await output.write('{"n":2}\n');
  // Or taken away, with another one in its place.
  await rm(path);
  await writeFile(path, '{"n":3}\n{"torn');
  await output.write('{"n":4}\n');
  await assert.rejects(fileOutput(path), isInUse);
  await output.close();
  assert.deepEqual([await readFile(rotated, 'utf8'), await readFile(path, 'utf8')], ['{"n":1}\n', '{"n":3}\n{"n":4}\n']);
});

test('the folder of a new file is synced, wherever the path to it begins', { skip: process.platform === 'win32' }, async (t) => {
  const place = await folder();
  const [inner, link] = [join(place, 'inner'), join(place, 'link')];
  const path = join(inner, 'events.ndjson');
  await mkdir(inner);
  await symlink(path, link);
  const any = await open(inner);
  const handles = Object.getPrototypeOf(any);
  await any.close();
  const synced = [];
  t.mock.method(handles, 'sync', async function () {
    await stat(path); // is there already
    synced.push((await this.stat()).ino);
  });
  await (await fileOutput(link)).close();
  assert.ok(synced.includes((await stat(inner)).ino));
});

test('it and source-host exclude each other', needsOrg.skip ? needsOrg : needs(SOURCE_HOST, COMPONENT), async (t) => {
  const [there, place] = [await org(t), await folder()];
  const [file, path, link] = [await toml(place, there), join(place, 'events.ndjson'), join(place, 'link')];
  await symlink(path, link);
  const host = (...more) => spawn(SOURCE_HOST, ['--quiet', 'run', file, ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
  const held = await fileOutput(link);
  const refused = host('--until-caught-up');
  let said = '';
  refused.stderr.on('data', (text) => (said += text));
  const [status] = await once(refused, 'close');
  await held.close();
  assert.notEqual(status, 0);
  assert.match(said, /is in use by another host/);

  const running = host();
  t.after(() => running.kill());
  await until(async () => running.exitCode !== null || (await stat(path)).size > 0);
  const before = await readFile(path, 'utf8');
  for (const name of [path, link]) await assert.rejects(fileOutput(name), isInUse);
  assert.ok((await readFile(path, 'utf8')).startsWith(before));
  running.kill();
  await once(running, 'exit');
  await (await fileOutput(path)).close();
});

test('a last line that was torn is cut off, and a file that holds something else is left alone', async () => {
  const path = join(await folder(), 'events.ndjson');
  for (const torn of ['{"n":2,"te', `{"${'x'.repeat(200_000)}`]) {
    await writeFile(path, `{"n":1}\n${torn}`);
    await (await fileOutput(path)).close();
    assert.equal(await readFile(path, 'utf8'), '{"n":1}\n');
  }
  await writeFile(path, 'a letter');
  await assert.rejects(fileOutput(path), /does not end with a line of events/);
  assert.equal(await readFile(path, 'utf8'), 'a letter');
});

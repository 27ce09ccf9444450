import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { StateError, fileStore } from '../src/index.js';
import { folder } from './support.js';

const isState = (words) => (error) => error instanceof StateError && error.kind === 'state' && words.test(error.message);

test('a state is there again in the next run, for its owner alone', async () => {
  const path = join(await folder(), 'state.json');
  const store = fileStore(path);
  assert.equal(await store.load(), undefined);
  await store.save('{"cursor":1}');
  await store.save('{"cursor":"ü"}');
  await store.close();
  const next = fileStore(path);
  assert.equal(await next.load(), '{"cursor":"ü"}');
  await next.close();
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('what a killed run left half written is no state', async () => {
  const path = join(await folder(), 'state.json');
  await writeFile(path, '{"cursor":1}');
  await writeFile(`${path}.tmp`, '{"cur', { mode: 0o644 });
  const store = fileStore(path);
  assert.equal(await store.load(), '{"cursor":1}');
  await store.save('{"cursor":2}');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await store.close();
});

test('a second store on the same file is refused until the first is closed, by whichever path', async () => {
  const place = await folder();
  const link = join(await folder(), 'link');
  await symlink(place, link);
  const [first, second] = [fileStore(join(place, 'state.json')), fileStore(join(link, 'state.json'))];
  await first.load();
  await assert.rejects(second.load(), isState(/another process uses this state/));
  await first.close();
  assert.equal(await second.load(), undefined);
  await second.close();
});

test('the lock is the one that source-host takes, and ends with its process', { skip: process.platform !== 'linux' && 'flock(1) is of Linux' }, async () => {
  const path = join(await folder(), 'state.json');
  const holder = spawn('flock', [`${path}.lock`, '-c', 'echo held; read wait'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  const store = fileStore(path);
  await assert.rejects(store.load(), isState(/another process uses this state/));
  holder.stdin.end();
  await once(holder, 'exit');
  assert.equal(await store.load(), undefined);
  await store.close();
});

test('a file that holds no state says why, and is left as it is', async () => {
  const place = await folder();
  const path = join(place, 'state.json');
  for (const [content, words] of [
    ['', /is empty/],
    [Buffer.from([0x7b, 0xc3, 0x28]), /it is not UTF-8/],
    [Buffer.concat([Buffer.from([0xff]), Buffer.from('state'), Buffer.from([0xff]), Buffer.from('1 00\n{}\n{}')]), /written by source-host/],
    ['x'.repeat(2 << 20), /larger than 1 MiB/],
  ]) {
    await writeFile(path, content);
    const store = fileStore(path);
    await assert.rejects(store.load(), isState(words));
    await store.close();
    assert.equal((await stat(path)).size, content.length);
  }
  await mkdir(join(place, 'folder'));
  await assert.rejects(fileStore(join(place, 'folder')).load(), isState(/it is not a file/));
  await assert.rejects(fileStore(join(place, 'nowhere', 'state.json')).load(), isState(/no such file or folder/));
});

test('a folder that cannot be written to is named before anything is collected', { skip: !process.seteuid && 'there are no users here' }, async () => {
  const place = await folder();
  await chmod(place, 0o555);
  const isRoot = process.geteuid() === 0;
  if (isRoot) process.seteuid(65534);
  try {
    await assert.rejects(fileStore(join(place, 'state.json')).load(), isState(/state.json.lock: cannot lock the state: permission denied/));
  } finally {
    if (isRoot) process.seteuid(0);
    await chmod(place, 0o700);
  }
  assert.deepEqual(await readdir(place), []);
});

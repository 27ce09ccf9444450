import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { seal } from '../src/envelope.js';
import { StateError, fileStore, open } from '../src/index.js';
import { HOSTILE, folder, needsHostile } from './support.js';

const OWNER = { tenant: 'default', component: 'salesforce', version: '1.0.0', digest: null };

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
  const sealed = seal(OWNER, 7, '{"cursor":1}');
  for (const [content, words] of [
    ['', /is empty/],
    [Buffer.from([0x7b, 0xc3, 0x28]), /is not UTF-8/],
    [sealed.subarray(0, sealed.length / 2), /is damaged/],
    [Buffer.concat([sealed.subarray(0, -1), Buffer.from(']')]), /is damaged/],
    [Buffer.from('\xffstate\xff2 x', 'latin1'), /written by a newer program/],
    [seal({ ...OWNER, tenant: 'acme' }, 1, '{}'), /was stored for the tenant "acme", and not for "default"/],
    [seal({ ...OWNER, component: 'other' }, 1, '{}'), /was stored for the component "other"/],
    ['x'.repeat(2 << 20), /larger than 1 MiB/],
  ]) {
    await writeFile(path, content);
    const store = fileStore(path);
    store.bind({ name: 'salesforce', version: '1.0.0' });
    await assert.rejects(store.load(), isState(words));
    await store.close();
    assert.equal((await stat(path)).size, content.length);
  }
  await symlink(join(place, 'nowhere'), join(place, 'link'));
  await assert.rejects(fileStore(join(place, 'link')).load(), isState(/is a link that leads nowhere/));
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

test('a state that stands in its file alone is taken over, and goes into the file of source-host', async () => {
  const path = join(await folder(), 'state.json');
  await writeFile(path, '{"cursor":1}');
  const store = fileStore(path, { tenant: 'acme' });
  store.bind({ name: 'salesforce', version: '1.4.0' }, 'sha256:00');
  assert.equal(await store.load(), '{"cursor":1}');
  await store.save('{"cursor":2}');
  await store.save('{"cursor":3}');
  const [head, label, state] = (await readFile(path, 'latin1')).split('\n');
  assert.match(head, /^\xffstate\xff1 [0-9a-f]{64}$/);
  const { saved_at, ...rest } = JSON.parse(label);
  assert.ok(saved_at > 1e12);
  assert.deepEqual(rest, { tenant: 'acme', component: 'salesforce', version: '1.4.0', digest: 'sha256:00', revision: 2, bytes: 12 });
  assert.equal(state, '{"cursor":3}');
  await store.close();
});

test('what could not be loaded again is not stored, and the state before is kept', async () => {
  const path = join(await folder(), 'state.json');
  const store = fileStore(path);
  await store.load();
  // In bytes, not in characters.
  const largest = 'ü'.repeat(1 << 19);
  await store.save(largest);
  for (const state of ['', `${largest}x`, 'ü'.repeat((1 << 19) + 1)]) {
    await assert.rejects(store.save(state), isState(/a state has 1 byte to 1 MiB; the one stored before is kept/));
  }
  await store.close();
  const next = fileStore(path);
  assert.equal(await next.load(), largest);
  await next.close();
});

test('a lock that is removed meanwhile ends the storing of states', async () => {
  const path = join(await folder(), 'state.json');
  const store = fileStore(path);
  await store.load();
  await rm(`${path}.lock`);
  await assert.rejects(store.save('{}'), isState(/was removed or replaced/));
  await store.close();
});

test('a file that is too large for a state is not read, nor is a state that is too large taken from a store', needsHostile, async () => {
  const path = join(await folder(), 'state.json');
  await writeFile(path, '');
  // Without any content, and more than a machine has memory for.
  await truncate(path, 2 ** 42);
  const store = fileStore(path);
  await assert.rejects(store.load(), isState(/larger than 1 MiB/));
  await store.close();
  const large = { load: async () => 'x'.repeat((1 << 20) + 1), save: async () => {} };
  await assert.rejects(open(HOSTILE, {}, { state: large }), isState(/larger than its limit/));
});

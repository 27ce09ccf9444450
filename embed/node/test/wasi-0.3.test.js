// Components for WASI 0.3. What runs them is JavaScript Promise Integration, which Node 24 has.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mayResolveTo } from '../src/address.js';
import { ComponentError, CrashError, describe, transpile } from '../src/index.js';
import { COMPONENT, COMPONENT_P3, HOSTILE_P3, config, folder, ids, needs, needsOrg, org, program, readEvents, toml, first, opened } from './support.js';

const hasPromises = 'Suspending' in WebAssembly;
const needs03 = hasPromises ? needs(COMPONENT_P3, HOSTILE_P3) : { skip: `Node ${process.version} has no JavaScript Promise Integration` };
const needsOrg03 = needsOrg.skip ? needsOrg : needs03;
const small = { batch: { max_events: 25 } };
const wasi03 = true;

async function collect(t, component, document, options, batches = Infinity) {
  const source = await opened(t, component, document, { untilCaughtUp: true, wasi03, ...options });
  const lines = [];
  for await (const batch of source) {
    lines.push(...batch.lines);
    await batch.ack();
    batches -= 1;
    if (!batches) break;
  }
  await source.close();
  return lines;
}

test('a component for WASI 0.3 is not run unless that is asked for, nor by a Node that cannot', needs(HOSTILE_P3), async () => {
  await assert.rejects(describe(HOSTILE_P3), (error) => error instanceof ComponentError && /for WASI 0.3, which is not run unless/.test(error.message));
  const module = await transpile(HOSTILE_P3, await folder());
  await assert.rejects(describe(module), /for WASI 0.3, which is not run unless/);
  if (hasPromises) assert.equal((await describe(module, { wasi03 })).name, 'hostile');
  else await assert.rejects(describe(HOSTILE_P3, { wasi03 }), /needs JavaScript Promise Integration: Node 24 has it/);
});

test('what it imports is compared in full, its version too', needs03, async () => {
  const text = (await readFile(HOSTILE_P3)).toString('latin1');
  for (const [from, to] of [['wasi:http/client@0.3.0', 'wasi:http/client@0.4.0'], ['wasi:http/types@0.3.0', 'wasi:http/typed@0.3.0']]) {
    assert.ok(text.includes(from));
    await assert.rejects(describe(Buffer.from(text.replaceAll(from, to), 'latin1'), { wasi03 }), new RegExp(`the component wants .*${to}`));
  }
});

test('its events are those of the other, byte for byte, and either goes on from a state of the other', needsOrg03, async (t) => {
  const there = await org(t);
  const whole = await collect(t, COMPONENT, config(there));
  assert.deepEqual(ids(whole.map((line) => JSON.parse(line))), await there.truth());
  assert.deepEqual(await collect(t, COMPONENT_P3, config(there)), whole);
  for (const [before, after] of [[COMPONENT, COMPONENT_P3], [COMPONENT_P3, COMPONENT]]) {
    const state = join(await folder(), 'state.json');
    const half = await collect(t, before, config(there, small), { state }, 2);
    assert.deepEqual([...half, ...(await collect(t, after, config(there, small), { state }))], whole);
  }
});

test('the program runs it where its file says so', needsOrg03, async (t) => {
  const [there, place] = [await org(t), await folder()];
  const file = await toml(place, there, { component: COMPONENT_P3, more: '[admission]\nwasi_0_3 = true' });
  const { status, stderr } = await program([file, '--until-caught-up']).ended;
  assert.equal(status, 0, stderr);
  assert.deepEqual(ids(await readEvents(join(place, 'events.ndjson'))), await there.truth());
});

for (const [attack, reason, limits] of [
  ['spin', 'time', { callTimeMs: 500 }],
  ['yield', 'time', { callTimeMs: 500 }],
  ['wait', 'time', { callTimeMs: 500 }],
  ['trap', 'trap'],
  ['grow', 'memory', { memoryBytes: 16 << 20 }],
]) {
  test(`one that goes for "${attack}" is stopped`, needs03, async (t) => {
    const source = await opened(t, HOSTILE_P3, { do: attack }, { wasi03, limits, maxCrashes: 0 });
    await assert.rejects(first(source), (error) => error instanceof CrashError && error.reason === reason);
    assert.deepEqual(await source.check(), []);
  });
}

test('its requests pass the same gate', needs03, async (t) => {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(request.url);
    response.end('answer');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const authority = `127.0.0.1:${server.address().port}`;
  const outcome = async (allow, does = 'large-headers') => (await first(await opened(t, HOSTILE_P3, { do: does, authority }, { wasi03, allow }))).state;
  assert.equal(await outcome(undefined), 'read 6');
  await assert.rejects(outcome([]), /does not allow what the source has to contact/);
  assert.equal(await outcome(undefined, 'denied-requests'), 'denied 300');
  assert.equal(seen.length, 1);
});

/** Asks as a module what its configuration says, and tells in its state what becomes of it. */
const ASKS = `export async function instantiate(compile, imports) {
  const { Fields, Request } = imports['wasi:http/types'];
  let config;
  return {
    'pipeline:source/async-source@0.1.0': {
      configure(text) {
        config = JSON.parse(text);
        return { authorities: [config.authority], warnings: [] };
      },
      async poll() {
        const [request] = Request.new(new Fields(), undefined, Promise.resolve({ tag: 'ok', val: undefined }), undefined);
        request.setPathWithQuery(config.path ?? '/');
        request.setAuthority(config.authority);
        const state = await imports['wasi:http/client'].send(request).then(() => 'answered', (error) => error.payload?.tag ?? String(error));
        return { events: [], state, nextPollMs: 60_000, problems: [], stats: { backlogBytes: 0n } };
      },
    },
  };
}`;

test('and none goes to where only this machine or its network is, nor by http unless it says so', needs03, async (t) => {
  const module = join(await folder(), 'asks.mjs');
  await writeFile(module, ASKS);
  const began = [];
  const server = createServer().on('connection', (socket) => socket.once('data', (data) => {
    began.push(data[0]);
    socket.destroy();
  }));
  server.listen(0);
  await once(server, 'listening');
  t.after(() => server.close());
  const at = `:${server.address().port}`;
  const outcome = async (host, path) => (await first(await opened(t, module, { authority: host, path }, { wasi03 }))).state;
  for (const host of ['2130706433', '0xa9fea9fe', '169.254.169.254']) assert.equal(await outcome(host + at), 'HTTP-request-denied', host);
  for (const path of [`@127.0.0.1${at}/x`, `${at}/x`, '.evil.example/x']) assert.equal(await outcome('127.0.0.1', path), 'HTTP-request-denied', path);
  const own = await lookup(hostname(), { all: true }).catch(() => []);
  if (own.length && !own.some(({ address }) => mayResolveTo(hostname(), address))) {
    assert.equal(await outcome(hostname() + at), 'destination-IP-prohibited');
  }
  assert.deepEqual(began, []);
  await outcome(`127.0.0.1${at}`);
  assert.deepEqual(began, [0x16], 'a handshake of TLS');
});

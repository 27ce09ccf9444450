// Components that are none, and one that attacks its host.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ClosedError, ComponentError, ConfigurationError, CrashError, describe, open, transpile } from '../src/index.js';
import { mayResolveTo } from '../src/address.js';
import { COMPONENT, HOSTILE, folder, needs, needsHostile, first, opened } from './support.js';

const isComponent = (words) => (error) => error instanceof ComponentError && words.test(error.message);
const instantly = async () => {};

test('what is no component is told so in a sentence', needsHostile, async () => {
  const bytes = await readFile(HOSTILE);
  const other = Buffer.from(bytes.toString('latin1').replaceAll('pipeline:source/source@0.1.0', 'pipeline:source/source@0.2.0'), 'latin1');
  for (const [given, words] of [
    [Buffer.from('hello'), /it is not a WebAssembly component/],
    [Buffer.alloc(0), /it is not a WebAssembly component/],
    [Buffer.from('0061736d01000000', 'hex'), /a core module of WebAssembly, not a component/],
    [bytes.subarray(0, bytes.length / 2), /cut off/],
    [Buffer.from('0061736d0d000100', 'hex'), /is no source: it does not export pipeline:source/],
    [Buffer.concat([bytes.subarray(0, 8), Buffer.from('0504ffffffff', 'hex')]), /not a valid component/],
    [other, /speaks pipeline:source\/source@0.2.0, and this package pipeline:source\/source@0.1.0/],
    [Buffer.alloc((32 << 20) + 1), /it is larger than the 32 MiB/],
    ['/dev/zero', /it is not a file/],
    ['/nowhere/source.wasm', /\/nowhere\/source.wasm: cannot read the component: there is no such file/],
  ]) {
    await assert.rejects(open(given, {}), isComponent(words));
  }
});

test('what a component imports is compared in full, its version too', needsHostile, async () => {
  const text = (await readFile(HOSTILE)).toString('latin1');
  // Of the same length, as the file says how long it is.
  for (const [from, to] of [
    ['wasi:io/error@0.2.0', 'wasi:io/files@0.2.0'],
    ['wasi:io/error@0.2.0', 'wasi:io/error@0.3.0'],
    ['wasi:io/error@0.2.0', 'wasi:io/error@0.2.x'],
    ['wasi:io/error@0.2.0', 'wasi:io/err@0.2.0-a'],
    ['wasi:http/types@0.2.0', 'wasi:http/typed@0.2.0'],
  ]) {
    assert.ok(text.includes(from));
    const other = Buffer.from(text.replaceAll(from, to), 'latin1');
    await assert.rejects(open(other, {}), isComponent(new RegExp(`the component wants ${to}, and a source gets HTTP and clocks`)));
  }
  const patched = Buffer.from(text.replaceAll('wasi:io/error@0.2.0', 'wasi:io/error@0.2.7'), 'latin1');
  assert.equal((await describe(patched)).name, 'hostile');
});

test('a module that is none is told so too', async () => {
  const module = join(await folder(), 'source.mjs');
  await writeFile(module, 'export const x = 1;');
  await assert.rejects(open(module, {}), isComponent(/not a module that `transpile` made/));
});

test('a component of another contract is refused as a module too', needsHostile, async () => {
  const place = await folder();
  const module = await transpile(HOSTILE, place);
  await writeFile(module, (await readFile(module, 'utf8')).replaceAll('source/source@0.1.0', 'source/source@0.3.0'));
  await assert.rejects(open(module, {}), isComponent(/speaks pipeline:source\/source@0.3.0/));
});

test('a component runs from a path, a URL, its bytes and a module', needsHostile, async (t) => {
  const module = await transpile(HOSTILE, await folder(), 'hostile');
  assert.match(module, /hostile\.js$/);
  for (const given of [HOSTILE, pathToFileURL(HOSTILE), await readFile(HOSTILE), module]) {
    assert.equal((await describe(given)).name, 'hostile');
    const source = await opened(t, given, { do: 'nothing' });
    const { events, lines } = await first(source);
    assert.deepEqual([events, lines], [[{ event: { id: '1' } }], ['{"event":{"id":"1"}}']]);
  }
});

test('a component with another digest than asked for is not run', needsHostile, async () => {
  await assert.rejects(open(HOSTILE, {}, { digest: `sha256:${'0'.repeat(64)}` }), isComponent(/not the component that the digest is of/));
});

test('the cache is private, and what is damaged in it is made again', needsHostile, async () => {
  const cache = join(await folder(), 'cache');
  await describe(HOSTILE, { cache });
  assert.equal((await stat(cache)).mode & 0o777, 0o700);
  const [entry] = await readdir(cache);
  const module = join(cache, entry, 'component.js');
  const before = await stat(module);
  await describe(HOSTILE, { cache });
  assert.equal((await stat(module)).ino, before.ino);
  await writeFile(module, 'throw new Error("planted")');
  assert.equal((await describe(HOSTILE, { cache })).name, 'hostile');
  assert.deepEqual(await readdir(cache), [entry]);
});

test('a cache that others may write to is not used', { ...needsHostile, ...(!process.getuid && { skip: 'there are no modes here' }) }, async () => {
  const cache = join(await folder(), 'cache');
  await mkdir(cache);
  await chmod(cache, 0o777);
  await assert.rejects(describe(HOSTILE, { cache }), isComponent(/others may write to it/));
});

test('a cache that cannot be made is named', needsHostile, async () => {
  await assert.rejects(describe(HOSTILE, { cache: join(HOSTILE, 'cache') }), isComponent(/cannot use the folder .*PIPELINE_SOURCE_CACHE/));
});

test('the event loop stays free while a poll computes, and close ends the poll', needsHostile, async () => {
  const source = await open(HOSTILE, { do: 'spin' });
  const poll = first(source);
  let isOver = false;
  poll.finally(() => (isOver = true));
  // Each of these is a turn of the event loop.
  for (let ticks = 0; ticks < 50; ticks += 1) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(isOver, false);
  await source.close();
  assert.equal(await poll, undefined);
  await assert.rejects(source.check(), ClosedError);
});

for (const [attack, reason, words, limits] of [
  ['spin', 'time', /longer than its limit of 0.2 s/, { callTimeMs: 200 }],
  ['grow', 'memory', /perhaps at its limit of 16 MiB of memory, of which it had 1\d/, { memoryBytes: 16 << 20 }],
  ['empty-state', 'refused', /returned an empty state/],
  ['large-event', 'refused', /an event of 838\d+ bytes/],
  ['twice', 'refused', /not one JSON object on one line/],
  ['nested', 'refused', /an event of 20\d+ bytes/, { memoryBytes: 256 << 20 }],
]) {
  test(`a component that goes for "${attack}" is given up after the crashes allowed, with back-off between them`, needsHostile, async (t) => {
    const waits = [];
    const source = await opened(t, HOSTILE, { do: attack }, {
      limits, maxCrashes: 2, wait: instantly, onProblem: ({ kind }, ms) => waits.push([kind, ms]),
    });
    await assert.rejects(first(source), (error) => error instanceof CrashError && error.reason === reason && words.test(error.message));
    assert.deepEqual(waits, [['internal', 1000], ['internal', 2000]]);
    assert.equal(source.state, undefined);
    assert.equal((await source.check())[0].verdict, 'pass');
  });
}

test('a component that crashes in a call is there again for the next one', needsHostile, async (t) => {
  const source = await opened(t, HOSTILE, { do: 'trap-in-is-complete' });
  await assert.rejects(source.isComplete('{}'), (error) => error instanceof CrashError && error.reason === 'trap');
  assert.equal((await first(source)).state, '{}');
});

test('a component that never returns from configure or describe is stopped', needsHostile, async () => {
  const attack = async (name) => Buffer.from((await readFile(HOSTILE)).toString('latin1').replace(/(?<=hostile-attack: ).{32}/, name.padEnd(32)), 'latin1');
  await assert.rejects(describe(await attack('spin-in-describe'), { limits: { callTimeMs: 200 } }), (error) => error.reason === 'time');
  const { name, version, streams } = await describe(await attack('escapes'));
  assert.doesNotMatch(JSON.stringify([name, version, streams]), /\\u001b|\\n|\u202e/);
});

test('a component that refuses its configuration many times says so a hundred times', needsHostile, async () => {
  await assert.rejects(open(HOSTILE, { do: 'many-refusals' }, { limits: { memoryBytes: 256 << 20 } }), (error) => {
    assert.ok(error instanceof ConfigurationError);
    assert.equal(error.problems.length, 101);
    return /599900 more/.test(error.problems[100].message);
  });
});

/** A server that counts, and answers or never does. */
async function server(t, answers) {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(request.url);
    if (answers) response.end('answer');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, authority: `127.0.0.1:${server.address().port}` };
}

test('a request goes where the configuration says and the user allows, and nowhere else', needsHostile, async (t) => {
  const { seen, authority } = await server(t, true);
  const outcome = async (allow) => {
    const source = await opened(t, HOSTILE, { do: 'one-request', authority }, { allow });
    assert.deepEqual(source.authorities, [authority]);
    return (await first(source)).state;
  };
  assert.equal(await outcome(undefined), 'read 6');
  assert.equal(await outcome([authority]), 'read 6');
  assert.equal(seen.length, 2);
  for (const allow of [['other.example.com'], ['127.0.0.1'], []]) {
    await assert.rejects(outcome(allow), (error) =>
      error instanceof ConfigurationError && error.path === 'allow' && error.message === `does not allow what the source has to contact: ${authority}`);
  }
  await assert.rejects(outcome([authority, `https://${authority}`]), (error) => error instanceof ConfigurationError && error.path === 'allow[1]');
  assert.equal(seen.length, 2);
  const source = await opened(t, HOSTILE, { do: 'denied-requests' });
  assert.equal((await first(source)).state, 'denied 2500');
});

/** Asks as a module what its configuration says, and tells in its state what becomes of it. */
const ASKS = `export async function instantiate(compile, imports) {
  const { Fields, OutgoingRequest } = imports['wasi:http/types'];
  let config;
  const outcome = () => {
    const request = new OutgoingRequest(new Fields());
    request.setPathWithQuery(config.path ?? '/');
    if (config.scheme) request.setScheme({ tag: config.scheme });
    request.setAuthority(config.authority);
    try {
      const future = imports['wasi:http/outgoing-handler'].handle(request, undefined);
      future.subscribe().block();
      const { val } = future.get().val;
      return val.tag ?? 'answered';
    } catch (error) {
      return error.tag ?? String(error);
    }
  };
  return {
    'pipeline:source/source@0.1.0': {
      configure(text) {
        config = JSON.parse(text);
        return { authorities: [config.authority], warnings: [] };
      },
      poll: () => ({ events: [], state: outcome(), nextPollMs: 60_000, problems: [], stats: { backlogBytes: 0n } }),
    },
  };
}`;

test('a request goes by https if it says nothing else, and never to where only this machine or its network is', async (t) => {
  const module = join(await folder(), 'asks.mjs');
  await writeFile(module, ASKS);
  const { seen, authority } = await server(t, true);
  const port = authority.split(':')[1];
  let connections = 0;
  const watched = createServer().on('connection', (socket) => {
    connections += 1;
    socket.destroy();
  });
  watched.listen(0);
  await once(watched, 'listening');
  t.after(() => watched.close());
  const outcome = async (config) => (await first(await opened(t, module, config))).state;
  assert.equal(await outcome({ scheme: 'HTTP', authority }), 'answered');
  assert.equal(await outcome({ scheme: 'HTTP', authority: `localhost:${port}` }), 'answered');
  // Authority and path come to the shim apart; what is no path is denied all the same.
  for (const path of [`@127.0.0.1:${port}/x`, `:${port}/x`, '.evil.example/x', `http://127.0.0.1:${port}/x`]) {
    assert.equal(await outcome({ scheme: 'HTTP', authority, path }), 'HTTP-request-denied', path);
  }
  assert.equal(seen.length, 2);
  const at = `:${watched.address().port}`;
  for (const host of ['2130706433', '0xa9fea9fe', '169.254.169.254']) {
    assert.equal(await outcome({ authority: host + at }), 'HTTP-request-denied', host);
  }
  // The machine's own name, which leads inside where it leads anywhere.
  const own = await lookup(hostname(), { all: true }).catch(() => []);
  if (own.length && !own.some(({ address }) => mayResolveTo(hostname(), address))) {
    for (const scheme of ['HTTPS', undefined]) {
      assert.equal(await outcome({ scheme, authority: hostname() + at }), 'destination-IP-prohibited');
    }
  }
  assert.equal(connections, 0);
  // By https, without a scheme: it gets as far as a handshake.
  assert.notEqual(await outcome({ authority: `127.0.0.1${at}` }), 'answered');
  assert.equal(connections, 1);
});

test('a component that waits for a server without end is stopped at its limit', needsHostile, async (t) => {
  const { seen, authority } = await server(t, false);
  const source = await opened(t, HOSTILE, { do: 'silent-server', authority }, { limits: { callTimeMs: 500 }, maxCrashes: 0 });
  await assert.rejects(first(source), (error) => error.reason === 'time');
  assert.deepEqual(seen, ['/slow']);
});

test('a configuration that is no JSON is refused and not shown', needs(COMPONENT), async () => {
  for (const config of ['{"client_secret": "c4n4ry" "x"}', '{"client_secret": c4n4ry}', '"c4n4ry"']) {
    await assert.rejects(open(COMPONENT, config), (error) => error instanceof ConfigurationError && !error.message.includes('c4n4ry'));
  }
});

// The real component against a simulated org.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigurationError, PollError, fileStore, open } from '../src/index.js';
import { COMPONENT, HOSTILE, config, folder, ids, needs, needsOrg, org } from './support.js';

/** A state that lies in memory, and how it came to be. */
function memoryStore(state) {
  const saved = [];
  return {
    saved,
    load: async () => state,
    save: async (text) => {
      state = text;
      saved.push(text);
    },
  };
}

/** Everything there is, with a source of its own; `take` may end the loop by returning true. */
async function collect(document, options, take = () => false) {
  const events = [];
  const source = await open(COMPONENT, document, { untilCaughtUp: true, ...options });
  try {
    for await (const batch of source) {
      events.push(...batch.events);
      await batch.ack();
      if (take(batch)) break;
    }
  } finally {
    await source.close();
  }
  return events;
}

const small = { batch: { max_events: 25 } };

test('every event comes exactly once, and a second collection has the same ids', needsOrg, async (t) => {
  const there = await org(t);
  const truth = await there.truth();
  assert.ok(truth.length > 100);
  const first = await collect(config(there));
  assert.deepEqual(ids(first), truth);
  assert.deepEqual(ids(await collect(config(there, small))), truth);
  assert.ok(first.every((event) => event['@timestamp'] && event.event.id));
});

test('a run that ends in the middle goes on where it was, in a file', needsOrg, async (t) => {
  const there = await org(t);
  const state = join(await folder(), 'state.json');
  const before = await collect(config(there, small), { state }, ({ events }) => events.length > 0);
  assert.equal(before.length, 25);
  const after = await collect(config(there, small), { state });
  assert.deepEqual(ids([...before, ...after]), await there.truth());
  assert.deepEqual(await collect(config(there, small), { state }), []);
});

test('a batch that is not acknowledged comes again, after a restart and in a new loop', needsOrg, async (t) => {
  const there = await org(t);
  const store = memoryStore();
  const next = async (source) => {
    for await (const batch of source) {
      if (batch.events.length) return batch;
      await batch.ack();
    }
  };
  const source = await open(COMPONENT, config(there, small), { state: store, wait: async () => {} });
  const first = await next(source);
  assert.equal(await next(source), first);
  const { length } = store.saved;
  await source.close();
  await assert.rejects(first.ack(), /closed/);
  assert.equal(store.saved.length, length);

  const restarted = await open(COMPONENT, config(there, small), { state: store });
  t.after(() => restarted.close());
  const again = await next(restarted);
  assert.deepEqual(again.lines, first.lines);
  await again.ack();
  assert.equal(restarted.state, again.state);
  assert.equal(store.saved.at(-1), again.state);
  assert.notDeepEqual((await next(restarted)).lines, first.lines);
});

test('a state that cannot be stored is told, and acknowledging again tries again', needsOrg, async (t) => {
  const there = await org(t);
  const store = memoryStore();
  const { save } = store;
  store.save = () => Promise.reject(new Error('the disk is full'));
  const source = await open(COMPONENT, config(there), { state: store });
  t.after(() => source.close());
  for await (const batch of source) {
    await assert.rejects(batch.ack(), /the disk is full/);
    assert.equal(source.state, undefined);
    store.save = save;
    await batch.ack();
    assert.equal(source.state, batch.state);
    break;
  }
});

test('an expired session is renewed without a loss', needsOrg, async (t) => {
  const there = await org(t);
  let tokens = 0;
  let isExpired = false;
  const source = await open(COMPONENT, config(there, small), { untilCaughtUp: true });
  t.after(() => source.close());
  const events = [];
  for await (const batch of source) {
    events.push(...batch.events);
    tokens += batch.stats.tokenRequests;
    if (!isExpired && events.length) {
      await there.expireSessions();
      isExpired = true;
    }
    await batch.ack();
  }
  assert.deepEqual(ids(events), await there.truth());
  assert.equal(tokens, 2);
});

test('an org that is down for a moment is waited for', needsOrg, async (t) => {
  const there = await org(t);
  await there.fault([{ path: '/services/oauth2/token', every: true, times: 2, action: { kind: 'answer', status: 503 } }]);
  const told = [];
  let now = Date.now();
  const events = await collect(config(there), {
    onProblem: ({ kind }, ms) => told.push([kind, ms > 0]),
    clock: () => now,
    wait: async (ms) => void (now += ms),
  });
  assert.deepEqual(ids(events), await there.truth());
  assert.ok(told.length > 0 && told.every(([kind, waits]) => kind === 'transient' && waits));
});

test('a wrong configuration names each mistake with its path', needsOrg, async () => {
  const document = { instance_url: 'ftp://x', auth: { flow: 'jwt-bearer', client_id: 'x', usrname: 'y' }, streams: {} };
  await assert.rejects(open(COMPONENT, document), (error) => {
    assert.ok(error instanceof ConfigurationError && error.kind === 'config');
    const paths = error.problems.map(({ path }) => path);
    assert.ok(paths.includes('instance_url') && paths.includes('auth.usrname'), paths.join());
    return error.message === error.problems[0].message && error.path === error.problems[0].path;
  });
});

test('refused credentials end the loop with who must act and what to do, and a new loop keeps to the back-off', needsOrg, async (t) => {
  const there = await org(t, '--obstacle', 'user-not-approved');
  const waits = [];
  const source = await open(COMPONENT, config(there), { wait: async (ms) => void waits.push(ms) });
  t.after(() => source.close());
  const refusal = async () => {
    for await (const batch of source) assert.fail(batch.state);
  };
  await assert.rejects(refusal, (error) => error instanceof PollError && error.kind === 'auth' && error.hint.length > 20);
  await assert.rejects(refusal, (error) => error.kind === 'auth' && error.retryAfterMs > 0);
  assert.ok(waits[0] === 0 && waits[1] > 1_000, waits.join());
  const failed = (await source.check()).filter(({ verdict }) => verdict === 'fail');
  assert.deepEqual(failed.map(({ name }) => name), ['sign-in']);
  assert.ok(failed[0].hint);
});

test('a damaged state ends the loop, and is left as it is', needsOrg, async (t) => {
  const there = await org(t);
  const store = memoryStore('{"version":');
  await assert.rejects(collect(config(there), { state: store }), (error) => error instanceof PollError && error.kind === 'state');
  assert.deepEqual(store.saved, []);
});

test('a source that is confined to a range has an end', needsOrg, async (t) => {
  const there = await org(t);
  const source = await open(COMPONENT, config(there), { untilCaughtUp: true });
  t.after(() => source.close());
  assert.equal(await source.isComplete(), false);
  const untilMs = Date.now() - 30 * 24 * 3_600_000;
  await assert.rejects(source.confine({ fromMs: untilMs, untilMs }), (error) => error instanceof ConfigurationError);
  await source.confine({ fromMs: untilMs - 3_600_000, untilMs });
  for await (const batch of source) {
    assert.deepEqual(batch.events, []);
    await batch.ack();
    if (await source.isComplete()) return;
  }
  assert.fail('it did not end');
});

test('a signal ends the loop after the batch at hand', needsOrg, async (t) => {
  const there = await org(t);
  const stop = new AbortController();
  const source = await open(COMPONENT, config(there, small), { signal: stop.signal });
  t.after(() => source.close());
  let batches = 0;
  for await (const batch of source) {
    batches += 1;
    stop.abort();
    await batch.ack();
  }
  assert.equal(batches, 1);
});

test('a source that waits for its next poll ends at once when it is told to', needsOrg, async (t) => {
  const there = await org(t);
  const stop = new AbortController();
  const source = await open(COMPONENT, config(there), { signal: stop.signal });
  t.after(() => source.close());
  let last;
  for await (const batch of source) {
    await batch.ack();
    last = batch;
    // The loop waits behind this, for an hour.
    if (batch.nextPollMs > 60_000) setTimeout(() => stop.abort(), 1);
  }
  assert.ok(last.nextPollMs > 60_000);
});

test('one store serves one source after the other', needs(HOSTILE), async () => {
  const path = join(await folder(), 'state.json');
  const source = await open(HOSTILE, {}, { state: fileStore(path) });
  await assert.rejects(open(HOSTILE, {}, { state: path }), /another process uses this state/);
  await source.close();
  await (await open(HOSTILE, {}, { state: path })).close();
});

// What a source is asked, and when: the reference source, which does what a server here tells it.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CrashError, PollError, open } from '../src/index.js';
import { REFERENCE, director, folder, needsReference, program, time } from './support.js';

const EVENT = 'event {"id":"1"}\n';

/** A source that is told what `answer` says, and its time. */
async function told(t, answer, options = {}) {
  const [server, its] = [await director(t, answer), time()];
  const source = await open(REFERENCE, { authority: server.authority }, { ...its.options, ...options });
  t.after(() => source.close());
  return { source, server, time: its };
}

/** Acknowledges so many batches, or all. */
async function take(source, number = 1_000) {
  for await (const batch of source) {
    await batch.ack();
    number -= 1;
    if (!number) return;
  }
}

async function first(source) {
  for await (const batch of source) return batch;
}

test('a batch that was not acknowledged comes again before any other, after a pause that grows', needsReference, async (t) => {
  const { source, server, time } = await told(t, (state) => `${EVENT}state ${state ?? 'step-'}x`);
  const seen = [];
  for await (const batch of source) {
    seen.push(batch);
    // It is not waited for, which does not matter.
    if (seen.length === 3) batch.ack();
    if (seen.length === 4) break;
  }
  assert.ok(seen[0] === seen[1] && seen[1] === seen[2] && seen[2] !== seen[3]);
  assert.deepEqual(time.waits, [1000, 2000]);
  assert.equal(server.polls, 2);
  assert.equal(source.state, 'step-x');
  // The same when one loop is left and another begun.
  assert.equal(await first(source), seen[3]);
  await seen[0].ack();
  assert.equal(source.state, 'step-x', 'it was acknowledged before');
  await seen[3].ack();
  assert.equal(source.state, 'step-xx');
});

test('after the last crash that is recovered from, a new loop begins with a pause that is longer still', needsReference, async (t) => {
  const { source, time } = await told(t, (_, polls) => (polls < 4 ? 'event []' : EVENT), { maxCrashes: 1 });
  const isRefused = (error) => error instanceof CrashError && error.reason === 'refused';
  for (const waits of [[1000], [1000, 2000, 4000]]) {
    await assert.rejects(first(source), isRefused);
    assert.deepEqual(time.waits, waits);
  }
  assert.equal((await first(source)).lines.length, 1);
  assert.deepEqual(time.waits, [1000, 2000, 4000, 8000]);
});

test('an empty state of a failure is a crash, and is not stored', needsReference, async (t) => {
  const { source } = await told(t, () => 'state \nfail transient 100 later', { maxCrashes: 0 });
  await assert.rejects(first(source), (error) => error instanceof CrashError && /an empty state/.test(error.message));
  assert.equal(source.state, undefined);
});

for (const promise of ['next 0', 'next 999']) {
  test(`a source that promises more (${promise}) and brings nothing is polled once a second`, needsReference, async (t) => {
    const { source, time } = await told(t, (state) => `state ${state ?? 'step'}x\n${promise}`);
    await take(source, 14);
    assert.deepEqual(time.waits.filter((ms) => ms === 1000), [1000, 1000, 1000]);
  });
}

test('a failure that asks for a wait of a millisecond costs more', needsReference, async (t) => {
  const { source, time } = await told(t, (_, polls) => (polls ? EVENT : 'fail transient 1 busy'));
  await first(source);
  assert.deepEqual(time.waits, [100]);
});

test('events make up for empty promises', needsReference, async (t) => {
  const { source, time } = await told(t, (_, polls) => (polls % 10 ? '' : EVENT));
  await take(source, 50);
  assert.deepEqual(time.waits, []);
});

for (const [answer, words] of [
  ['next 0', /promises more and brings nothing/],
  ['problem transient later\nnext 500', /later/],
]) {
  test(`a run that is to catch up gives up on a source that says "${answer}" for ever`, needsReference, async (t) => {
    const { source, server, time } = await told(t, () => answer, { untilCaughtUp: true, giveUpAfterMs: 60_000 });
    const began = time.now;
    await assert.rejects(take(source), (error) => error instanceof PollError && words.test(error.message));
    assert.ok(time.now - began > 50_000 && time.now - began <= 60_000 && server.polls < 100);
  });
}

test('a run that is to catch up does not take a slow output for a source that does nothing', needsReference, async (t) => {
  const { source, server, time } = await told(t, (_, polls) => (polls < 3 ? EVENT : 'next 60000'), {
    untilCaughtUp: true, giveUpAfterMs: 60_000,
  });
  for await (const batch of source) {
    time.now += 100_000;
    await batch.ack();
  }
  assert.equal(server.polls, 4);
});

/** The program, on what `answer` says. */
async function running(t, answer) {
  const [server, place] = [await director(t, answer), await folder()];
  const file = join(place, 'source.toml');
  await writeFile(file, `component = ${JSON.stringify(REFERENCE)}
[source]
authority = "${server.authority}"
[state]
path = "state"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = ["${server.authority}"]
`);
  return { server, ...program([file]) };
}

test('a configuration that never worked ends the program', needsReference, async (t) => {
  const { server, ended } = await running(t, () => 'fail config 10 there is no such stream');
  const { status, stderr } = await ended;
  assert.equal(status, 2, stderr);
  assert.equal(server.polls, 1);
});

test('a configuration that has worked is tried again', needsReference, async (t) => {
  const { child, ended } = await running(t, (_, polls) => {
    if (polls > 0 && polls < 3) return 'fail config 10 there is no such stream';
    if (polls === 3) setTimeout(() => child.kill('SIGTERM'), 50);
    return `${EVENT}state step-${polls}\nnext ${polls ? 60_000 : 0}`;
  });
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.equal(stderr.match(/^config: there is no such stream/gm)?.length, 2, stderr);
});

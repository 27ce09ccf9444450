import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayResolveTo } from '../src/address.js';
import { Refusal, batch, isObjectOnALine, problem } from '../src/contract.js';
import { bounded } from '../src/memory.js';
import { versionProblem } from '../src/version.js';

const LIMITS = {
  memoryBytes: 1 << 26, callTimeMs: 1, batchEvents: 3, batchBytes: 100, eventBytes: 50, stateBytes: 10, longestWaitMs: 1000,
};
const answer = (more) => ({ events: [], state: '{}', nextPollMs: 0, problems: [], stats: { backlogBytes: 7n }, ...more });

test('an event is one JSON object on one line', () => {
  for (const good of [
    '{}',
    '{"a":[1,{"b":null}],"c":{"b":2}}',
    '{ "a" : "x:\\"y\\":" ,\t"b":":z"}',
    String.raw`{"é":"💥 and \ud83d\udca5","k":"a \\ud800 b"}`,
    '{"__proto__":1}',
  ]) {
    assert.ok(isObjectOnALine(good), good);
  }
  for (const bad of [
    '', '[]', '1', ' {}', '{', '{}{}', '{} x', '{\n}', '{"a":1,\r"b":2}', '{"a":}',
    '{"a":1,"a":2}', '{"a" :1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":{"b":1,"c":2,"b":3}}',
    String.raw`{"a":"\ud800"}`, String.raw`{"a":"\\\udc00"}`, '{"a":1e999999}',
    `{"a":${'['.repeat(200)}${']'.repeat(200)}}`,
  ]) {
    assert.ok(!isObjectOnALine(bad), bad);
  }
});

test('a batch beyond its limits is refused, and one within them is passed on', () => {
  for (const [more, what] of [
    [{ events: ['{}', '{}', '{}', '{}'] }, /4 events, more than the 3/],
    [{ events: [`{"a":"${'x'.repeat(60)}"}`] }, /an event of 68 bytes/],
    [{ events: ['{}', '[]'] }, /number 2 of its batch/],
    [{ events: Array(3).fill(`{"a":"${'x'.repeat(30)}"}`) }, /more than the 100 bytes/],
    [{ state: '' }, /an empty state/],
    [{ state: 'ü'.repeat(6) }, /a state of 12 bytes/],
  ]) {
    assert.throws(() => batch(answer(more), LIMITS), (error) => error instanceof Refusal && what.test(error.message));
  }
  const { nextPollMs, stats } = batch(answer({ nextPollMs: 4_000_000_000 }), LIMITS);
  assert.deepEqual({ nextPollMs, stats }, { nextPollMs: 1000, stats: { backlogBytes: 7 } });
});

test('a component cannot write to a terminal or forge a line', () => {
  assert.equal(problem({ kind: 'data', message: 'a\x1b[2J\nERROR forged\u202e' }).message, 'a\uFFFD[2J\uFFFDERROR forged\uFFFD');
});

test('a memory grows to the limit and no further, whatever the module says', () => {
  const module = (limits) => Buffer.from(`0061736d01000000050${(limits.length / 2 + 1).toString(16)}01${limits}070501016d0200`, 'hex');
  const grown = (limits) => {
    const { module: made, memories } = bounded(module(limits), 4);
    assert.equal(memories, 1);
    const { m } = new WebAssembly.Instance(new WebAssembly.Module(made)).exports;
    assert.throws(() => m.grow(4), RangeError);
    m.grow(3 - m.buffer.byteLength / 65536);
    return m.buffer.byteLength / 65536;
  };
  assert.equal(grown('0001'), 3);
  assert.equal(grown('010110'), 3);
  assert.throws(() => bounded(module('0005'), 4), /more than its limit/);
});

test('a Node that is too old is told so', () => {
  assert.match(versionProblem('18.20.8'), /Node 18.20.8 is too old/);
  assert.equal(versionProblem('20.0.0'), undefined);
  assert.equal(versionProblem('24.1.0'), undefined);
});

test('a name leads to public addresses, and localhost to loopback', () => {
  const LOCALHOST = ['localhost', 'LocalHost', 'localhost.'];
  // Those of source-host's own test.
  for (const inner of [
    '127.0.0.1', '169.254.169.254', '10.0.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '0.0.0.0', '0.1.2.3', '192.0.0.8',
    '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255', '100.100.100.200',
    '168.63.129.16', '::', '::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::7f00:1',
    '64:ff9b::a00:1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::1', '2002:7f00:1::', '2001::1', '2001:db8::1', '3fff::1', 'fc00::1',
    'fd00:ec2::254', 'fd20:ce::254', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', '100::1',
  ]) {
    assert.ok(!mayResolveTo('logs.example.com', inner), inner);
  }
  for (const outer of ['93.184.216.34', '2606:2800:220:1::1', '::ffff:93.184.216.34', '64:ff9b::5db8:d822']) {
    assert.ok(mayResolveTo('logs.example.com', outer), outer);
    for (const spelling of LOCALHOST) assert.ok(!mayResolveTo(spelling, outer), `${spelling} ${outer}`);
  }
  for (const spelling of LOCALHOST) assert.ok(mayResolveTo(spelling, '127.0.0.1') && mayResolveTo(spelling, '::1'), spelling);
  for (const name of ['localhost.example.com', 'localhost..']) assert.ok(!mayResolveTo(name, '127.0.0.1'), name);
});

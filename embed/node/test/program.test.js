// The program, as its users start it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSettings } from '../src/settings.js';
import { COMPONENT, HOSTILE, config, folder, ids, needs, needsHostile, needsOrg, org, program, readEvents, toml, until } from './support.js';

const run = (...args) => program(args).ended;

test('a TOML file is all that a collection needs, and the next run brings what is new', needsOrg, async (t) => {
  const [there, place] = [await org(t), await folder()];
  const file = await toml(place, there);
  const { status, stdout, stderr } = await run(file, '--until-caught-up');
  assert.deepEqual([status, stdout], [0, ''], stderr);
  assert.match(stderr, /^\d+ events from 4 files in \d+ requests$/m);
  const events = join(place, 'events.ndjson');
  assert.deepEqual(ids(await readEvents(events)), await there.truth());
  assert.equal((await stat(events)).mode & 0o777, 0o600);
  const before = await readFile(events);
  assert.equal((await run(file, '--until-caught-up')).status, 0);
  assert.deepEqual(await readFile(events), before);
});

test('kill -9 in the middle, again and again, loses nothing', needsOrg, async (t) => {
  const [there, place] = [await org(t, '--rows', '3000'), await folder()];
  const file = await toml(place, there, { batch: 20 });
  const events = join(place, 'events.ndjson');
  const size = async () => (await stat(events).catch(() => ({ size: 0 }))).size;
  let kills = 0;
  for (; kills < 3; kills += 1) {
    const before = await size();
    const { child, ended } = program([file, '--until-caught-up']);
    await until(async () => child.exitCode !== null || (await size()) > before + 100_000);
    child.kill('SIGKILL');
    assert.equal((await ended).signal, 'SIGKILL');
    // What a kill in the middle of a write leaves.
    const whole = (await readFile(events, 'utf8')).endsWith('\n');
    if (whole) await appendFile(events, '{"@timestamp":"2026-');
  }
  const { status, stderr } = await run(file, '--until-caught-up');
  assert.equal(status, 0, stderr);
  const lines = (await readFile(events, 'utf8')).trim().split('\n');
  const byId = new Map();
  for (const line of lines) {
    const { id } = JSON.parse(line).event;
    assert.equal(byId.get(id) ?? line, line, 'what comes twice is the same');
    byId.set(id, line);
  }
  assert.deepEqual([...byId.keys()].sort(), await there.truth());
});

test('SIGTERM ends it after the batch at hand, with its state stored', needsOrg, async (t) => {
  const [there, place] = [await org(t), await folder()];
  const file = await toml(place, there);
  const { child, ended } = program([file]);
  await until(async () => (await readEvents(join(place, 'events.ndjson'))).length > 0);
  child.kill('SIGTERM');
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /events from/);
  assert.equal((await run(file, '--until-caught-up')).status, 0);
  assert.deepEqual(ids(await readEvents(join(place, 'events.ndjson'))), await there.truth());
});

test('a second run on the same state or the same output is refused', needsOrg, async (t) => {
  const [there, place] = [await org(t), await folder()];
  const file = await toml(place, there);
  const { child, ended } = program([file]);
  await until(async () => (await readEvents(join(place, 'events.ndjson'))).length > 0);
  const second = await run(file);
  assert.equal(second.status, 2);
  assert.match(second.stderr, /another process uses this state/);
  const other = join(place, 'other.toml');
  await writeFile(other, (await readFile(file, 'utf8')).replace('state.json', 'other.json'));
  const third = await run(other);
  assert.equal(third.status, 2);
  assert.match(third.stderr, /another process writes to this file/);
  child.kill('SIGTERM');
  await ended;
});

test('events go to standard output, and a reader that goes away ends the run', needsOrg, async (t) => {
  const [there, place] = [await org(t, '--rows', '3000'), await folder()];
  const file = join(place, 'config.json');
  await writeFile(file, JSON.stringify(config(there, { batch: { max_events: 50 } })));
  const { child, ended } = program([COMPONENT, file]);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
});

test('check says what fails and what to do, and --describe what the component is', needsOrg, async (t) => {
  const [there, place] = [await org(t, '--obstacle', 'user-inactive'), await folder()];
  const { status, stdout, stderr } = await run(await toml(place, there), '--check');
  assert.equal(status, 1, stderr);
  assert.match(stdout, /^pass instance-url: /m);
  assert.match(stdout, /^fail sign-in: .+ \(.+\)$/m);
  const described = await run(COMPONENT, '--describe');
  assert.equal(JSON.parse(described.stdout).name, 'salesforce-source');
});

test('refused credentials end a run that is to catch up with 1, and what to do', needsOrg, async (t) => {
  const [there, place] = [await org(t, '--obstacle', 'user-inactive'), await folder()];
  const { status, stderr } = await run(await toml(place, there), '--until-caught-up');
  assert.equal(status, 1);
  assert.match(stderr, /^auth: sign-in failed: .+ \(.+\)$/m);
});

test('a crashing component ends the run with 1 in a sentence', needsHostile, async () => {
  const file = join(await folder(), 'config.json');
  await writeFile(file, '{"do":"many-refusals"}');
  const { status, stderr } = await run(HOSTILE, file);
  assert.equal(status, 1);
  assert.match(stderr, /^internal: the component crashed in `configure`: .+ of memory, of which it had \d+$/m);
});

test('a configuration is refused with 2, and no secret of it is repeated', needs(COMPONENT), async () => {
  const place = await folder();
  for (const [name, text] of [
    ['config.json', '{"auth": {"client_secret": {"file": "c4n4ry"}}}'],
    ['config.json', '{"auth": {"client_secret": {"env": "c4n4ry"}}}'],
    ['config.json', '{"auth": {"client_secret": "c4n4ry" "x"}}'],
    ['config.json', '{"auth": {"client_secret": c4n4ry}}'],
    ['source.toml', `component = ${JSON.stringify(COMPONENT)}\n[source]\nauth = { client_secret = { file = "c4n4ry" } }`],
    ['source.toml', `component = ${JSON.stringify(COMPONENT)}\n[source]\nauth = { client_secret = { env = "c4n4ry" } }`],
    ['source.toml', `component = ${JSON.stringify(COMPONENT)}\n[source.auth]\nclient_secret = "c4n4ry`],
    ['source.toml', `component = ${JSON.stringify(COMPONENT)}\n[source]\ninstance_url = "https://acme.my.salesforce.com"\nauth = { flow = "jwt-bearer", client_secret = "c4n4ry" }`],
  ]) {
    const file = join(place, name);
    await writeFile(file, text);
    const args = name.endsWith('.toml') ? [file] : [COMPONENT, file];
    const { status, stderr } = await run(...args);
    assert.equal(status, 2, stderr);
    assert.ok(!stderr.includes('c4n4ry') && stderr.length > 20, `${text}: ${stderr}`);
  }
});

test('what the component says of a TOML file has the paths of that file', needs(COMPONENT), async () => {
  const file = join(await folder(), 'source.toml');
  await writeFile(file, `component = ${JSON.stringify(COMPONENT)}\n[source]\ninstance_ur = "https://acme.my.salesforce.com"`);
  const { status, stderr } = await run(file);
  assert.equal(status, 2);
  assert.match(stderr, /^config: source\.instance_ur: .*instance_url/m);
});

test('what is not allowed is said before the first poll, as it stands in the file', needsOrg, async (t) => {
  const [there, place] = [await org(t), await folder()];
  const file = await toml(place, there);
  await writeFile(file, (await readFile(file, 'utf8')).replace(/\[egress\]\nallow = .*/, ''));
  const { status, stderr } = await run(file);
  assert.equal(status, 2, stderr);
  assert.equal(stderr, `config: egress.allow: does not allow what the source has to contact: ${there.authority} (if it may, add it)\n`);
});

test('a Node without vectors is told so in a sentence', { ...needsHostile, ...(process.arch !== 'x64' && { skip: 'there is no flag for it here' }) }, async () => {
  const { status, stderr } = await program([HOSTILE, '--describe'], {}, ['--no-enable-ssse3']).ended;
  assert.deepEqual([status, stderr.split('\n').length], [2, 2], stderr);
  assert.match(stderr, /^config: this Node has no vectors \(SIMD\) for WebAssembly, which sources need: /);
});

test('what is wrong on the command line is told with 2, and --help teaches', async () => {
  for (const args of [[], ['--nonsense'], ['source.wasm'], ['a', 'b', 'c'], ['x.toml', '--state', 's'], ['nowhere.toml']]) {
    const { status, stdout, stderr } = await run(...args);
    assert.equal(status, 2, `${args}: ${stderr}`);
    assert.ok((stdout + stderr).length > 20);
    assert.doesNotMatch(stderr, /^\s+at /m, 'no stack');
  }
  const { status, stdout } = await run('--help');
  assert.equal(status, 0);
  for (const part of ['[source.auth]', 'SIGTERM', '--until-caught-up', 'Exit status']) assert.ok(stdout.includes(part), part);
});

test('every mistake in a TOML file is reported at once', async () => {
  const file = join(await folder(), 'source.toml');
  await writeFile(
    file,
    `compnent = "c.wasm"
[source]
token = { env = "NOT_SET_ANYWHERE" }
[output]
kind = "elasticsearch"
[egress]
alow = []
allow = ["logs.example.com", "https://acme.my.salesforce.com", "*.com"]
proxy = "http://proxy"
[limits]
memory = "64MB"
call_time = 5
[admission]
digest = "sha256:12"
`,
  );
  await assert.rejects(readSettings(file), (error) => {
    const said = error.problems.map(({ path, message }) => `${path}: ${message}`).join('\n');
    for (const part of [
      'compnent: unknown key; did you mean `component`?',
      'component: is missing',
      'source.token: the environment variable that it names is not set',
      'output.kind: "stdout" or "file" is expected',
      'egress.alow: unknown key; did you mean `allow`?',
      'egress.proxy: source-host has this',
      'egress.allow[1]: `https://acme.my.salesforce.com` is no host to allow: write the host alone, without scheme, user and path',
      'egress.allow[2]: `*.com` is no host to allow: a suffix needs two labels',
      'limits.memory: a size is expected',
      'limits.call_time: a time is expected',
      'admission.digest: sha256:',
    ]) {
      assert.ok(said.includes(part), `${part}\n${said}`);
    }
    return error.problems.length === 11;
  });
});

test('a TOML file is read with paths from its folder, and contacts nobody unless allowed', async () => {
  const place = await folder();
  const file = join(place, 'source.toml');
  await writeFile(join(place, 'token'), 's3cret\n');
  await writeFile(
    file,
    `component = "c.wasm"
[source]
from = 2026-11-01
token = { file = "token" }
[state]
path = "state.json"
[limits]
memory = "32MiB"
call_time = "90s"
`,
  );
  assert.deepEqual(await readSettings(file), {
    component: join(place, 'c.wasm'),
    source: { from: '2026-11-01', token: 's3cret' },
    state: join(place, 'state.json'),
    output: undefined,
    allow: [],
    digest: undefined,
    wasi03: undefined,
    limits: { memoryBytes: 32 << 20, callTimeMs: 90_000 },
  });
});

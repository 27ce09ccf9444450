// What the tests share: the built component, a simulated org, a folder of their own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { open } from '../src/index.js';
import { fileURLToPath } from 'node:url';

const built = (name, path) => process.env[name] ?? fileURLToPath(new URL(`../../../${path}`, import.meta.url));

export const COMPONENT = built('SOURCE_COMPONENT', 'dist/salesforce-source.wasm');
export const COMPONENT_P3 = built('SOURCE_COMPONENT_P3', 'dist/salesforce-source-p3.wasm');
export const HOSTILE_P3 = built('HOSTILE_COMPONENT_P3', 'dist/hostile-source-p3.wasm');
export const HOSTILE = built('HOSTILE_COMPONENT', 'dist/hostile-source.wasm');
export const REFERENCE = built('REFERENCE_COMPONENT', 'dist/reference-source.wasm');
export const SOURCE_HOST = built('SOURCE_HOST', 'target/release/source-host');
const SIMULATOR = built('SALESFORCE_SIM', 'target/release/salesforce-sim');
export const PROGRAM = fileURLToPath(new URL('../bin/pipeline-source.js', import.meta.url));

/** For a test's options: skips it where one of these files is not there. */
export const needs = (...files) => {
  const missing = files.find((file) => !existsSync(file));
  return missing ? { skip: `${missing} is not there: \`make build\` makes it` } : {};
};
export const needsOrg = needs(COMPONENT, SIMULATOR);
export const needsHostile = needs(HOSTILE);
export const needsReference = needs(REFERENCE);

/** All tests of a file share one cache, which is not the user's. */
process.env.PIPELINE_SOURCE_CACHE = await folder();

export async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'pipeline-source-'));
  after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A simulated org: what it says of itself, and its control listener. */
export async function org(t, ...flags) {
  const keys = await folder();
  const rows = flags.includes('--rows') ? [] : ['--rows', '120'];
  const args = ['--quiet', '--hours', '4', ...rows, '--key-file', join(keys, 'key.pem'), ...flags];
  const child = spawn(SIMULATOR, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill();
    if (child.exitCode === null) await once(child, 'exit');
  });
  const [line] = await once(createInterface(child.stdout), 'line');
  const said = JSON.parse(line);
  const control = (path, options) => fetch(new URL(path, said.control_url), options);
  return {
    ...said,
    authority: new URL(said.url).host,
    privateKey: await readFile(said.key_file, 'utf8'),
    expireSessions: () => control('/expire-sessions', { method: 'POST' }),
    fault: (plan) => control('/faults', { method: 'POST', body: JSON.stringify(plan) }),
    /** The ids that a complete collection of the hourly login files delivers, sorted. */
    async truth() {
      const text = await (await control('/truth?interval=hourly&event_types=Login')).text();
      return text.trim().split('\n').map((line) => JSON.parse(line).event_id).sort();
    },
  };
}

/** What the reference source asks: `answer` is told its state, and how many polls there were before. */
export async function director(t, answer) {
  const said = { polls: 0 };
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://host');
    response.end(answer(searchParams.get('state') ?? undefined, said.polls));
    said.polls += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(said, { authority: `127.0.0.1:${server.address().port}` });
}

/** A clock that goes on by waiting alone, as options for `open`. */
export function time() {
  const made = { now: 1e12, waits: [] };
  const wait = async (ms) => {
    if (ms) made.waits.push(ms);
    made.now += ms;
  };
  return Object.assign(made, { options: { clock: () => made.now, wait } });
}

/** A configuration for an org. */
export const config = (org, more = {}) => ({
  instance_url: org.url,
  auth: {
    flow: 'jwt-bearer',
    client_id: org.client_id,
    username: org.username,
    private_key: org.privateKey,
  },
  streams: { login: { event_log_file: { interval: '1h' } } },
  ...more,
});

/** The same as a TOML file. */
export async function toml(folder, org, { component = COMPONENT, batch = 1000, more = '' } = {}) {
  const path = join(folder, 'source.toml');
  await writeFile(
    path,
    `component = ${JSON.stringify(component)}
[source]
instance_url = "${org.url}"
auth = { flow = "jwt-bearer", client_id = "${org.client_id}", username = "${org.username}", private_key = { file = "${org.key_file}" } }
batch = { max_events = ${batch} }
[source.streams.login]
event_log_file = { interval = "1h" }
[state]
path = "state.json"
[output]
kind = "file"
path = "events.ndjson"
[egress]
allow = ["${org.authority}"]
${more}`,
  );
  return path;
}

export const ids = (events) => events.map((event) => event.event.id).sort();

export async function readEvents(path) {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
}

/** Starts the program; `ended` resolves to {status, signal, stdout, stderr}. */
export function program(args, options = {}, flags = []) {
  const child = spawn(process.execPath, [...flags, PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (said[name] += text));
  const ended = once(child, 'close').then(([status, signal]) => ({ status, signal, ...said }));
  return { child, ended };
}

/** Resolves when the condition holds; looks again after each turn of the event loop. */
export async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A source that is closed at the end of its test. */
export async function opened(t, ...given) {
  const source = await open(...given);
  t.after(() => source.close());
  return source;
}

/** The first batch, or the error instead of it. */
export async function first(source) {
  for await (const batch of source) return batch;
}

#!/usr/bin/env node
// Hosts a log source component: polls it, writes its events as NDJSON, keeps its state.
//
// COMPONENT is the module that transpile.mjs made. CONFIG is the JSON document that its `configure` takes; a value
// {"file": "path relative to CONFIG"} or {"env": "NAME"} in it is read from there. Exit status: 0 done, 1 something
// failed, 2 a mistake in what was given.
//
// The component gets HTTP to the authorities that its configuration names (and --allow allows, if given), clocks, and
// 64 MiB of memory. The module is not given anything else, so there is no file, environment or socket to be reached.
// A poll blocks the event loop until it returns. That suits a program of its own; in a server, run this in a worker.

import { existsSync, readFileSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import * as clocks from '@bytecodealliance/preview2-shim/clocks';
import * as http from '@bytecodealliance/preview2-shim/http';
import * as io from '@bytecodealliance/preview2-shim/io';

const INTERFACE = 'pipeline:source/source@0.1.0';
const [RETRY_AFTER, PATIENCE] = [30_000, 300_000]; // milliseconds
setFlagsFromString('--wasm-max-mem-pages=1024'); // of 64 KiB

class Mistake extends Error {}

/** The component's functions. `mayContact` decides about each request by its authority. */
async function load(path, mayContact) {
  const handle = (request, options) => {
    if (!mayContact(request.authority())) throw { tag: 'HTTP-request-denied' };
    // The shim takes the time to connect for the time until an answer begins, which is too short for a slow query.
    options?.setConnectTimeout(options.firstByteTimeout());
    return http.outgoingHandler.handle(request, options);
  };
  // The shim has no code of the contract for a body that breaks off, and jco would let the component crash over it.
  const httpErrorCode = ({ payload }) => (payload?.tag ? payload : { tag: 'connection-terminated' });
  const imports = {
    'wasi:clocks/monotonic-clock': clocks.monotonicClock,
    'wasi:clocks/wall-clock': clocks.wallClock,
    'wasi:http/outgoing-handler': { handle },
    'wasi:http/types': { ...http.types, httpErrorCode },
    'wasi:io/error': io.error,
    'wasi:io/poll': io.poll,
    'wasi:io/streams': io.streams,
  };
  const url = pathToFileURL(resolve(path));
  const compile = async (name) => WebAssembly.compile(await readFile(new URL(name, url)));
  try {
    const { instantiate } = await import(url);
    return (await instantiate(compile, imports))[INTERFACE];
  } catch (error) {
    throw new Mistake(`${path}: cannot load the component: ${error.message}`);
  }
}

/** Whether a pattern of --allow, `host`, `host:port` or `*.domain`, covers an authority. */
const covers = (pattern, authority) =>
  pattern.startsWith('*.') ? authority.endsWith(pattern.slice(1)) : authority === pattern;

/** The configuration with a text in place of each {"file": ...} and {"env": ...}. A name that leads nowhere is not shown: it
 * may be the secret itself. */
function resolved(value, folder, path = '') {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item, index) => resolved(item, folder, `${path}[${index}]`));
  const entries = Object.entries(value);
  if (entries.length === 1 && typeof entries[0][1] === 'string') {
    const [[kind, name]] = entries;
    if (kind === 'file') return read(resolve(folder, name), path, 'the file that it names').replace(/[\r\n]+$/, '');
    if (kind === 'env') {
      if (!process.env[name]) throw new Mistake(`${path}: the environment variable that it names is not set`);
      return process.env[name];
    }
  }
  return Object.fromEntries(
    entries.map(([key, item]) => [key, resolved(item, folder, path ? `${path}.${key}` : key)]),
  );
}

function read(path, what, shown = path) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (error) {
    const reason = { ENOENT: 'No such file or directory', ERR_ENCODING_INVALID_ENCODED_DATA: 'not UTF-8' }[error.code];
    throw new Mistake(`${what}: cannot read ${shown}: ${reason ?? error.code}`);
  }
}

function words({ kind, path, stream, message, hint }) {
  const where = path ?? stream;
  return `${kind}: ${where ? `${where}: ` : ''}${message}${hint ? ` (${hint})` : ''}`;
}

/** Appends to a file. A last line without an end was torn when a run was killed; its batch was not acknowledged and
 * comes again, so the line is cut off. */
async function openOutput(path) {
  const file = await open(path, 'a+');
  const end = (await file.stat()).size;
  const at = async (offset) => (await file.read(Buffer.alloc(1), 0, 1, offset)).buffer[0];
  let start = end;
  while (start > 0 && (await at(start - 1)) !== 0x0a) start -= 1;
  if (start < end && (await at(start)) !== 0x7b) {
    throw new Mistake(`${path}: does not end with a line of events; choose another file or move it away`);
  }
  if (start < end) await file.truncate(start);
  return {
    write: async (text) => {
      await file.appendFile(text);
      await file.sync();
    },
    close: () => file.close(),
  };
}

process.stdout.on('error', () => {}); // each write reports its own
const STDOUT = { write: promisify(process.stdout.write.bind(process.stdout)), close: () => {} };

/** Replaces the file as a whole or not at all. */
async function save(path, state) {
  const file = await open(`${path}.tmp`, 'w');
  await file.writeFile(state);
  await file.sync();
  await file.close();
  await rename(`${path}.tmp`, path);
  const folder = await open(dirname(resolve(path)), 'r');
  await folder.sync();
  await folder.close();
}

/** Polls until stopped or caught up, and returns the exit status. */
async function run(source, options, state, output, stop, total) {
  let progress = performance.now();
  while (!stop.aborted) {
    let batch, failure;
    try {
      batch = source.poll(state);
    } catch (error) {
      if (error.payload === undefined) throw error; // not the contract's failure: the component crashed
      failure = error.payload;
    }
    const problems = batch?.problems ?? [failure.problem];
    for (const problem of problems) console.error(words(problem));
    const kinds = new Set(problems.map((problem) => problem.kind));
    let wait;
    if (batch) {
      const { events, stats } = batch;
      if (events.length) await output.write(events.join('\n') + '\n');
      total.events += events.length;
      total.files += stats.filesCompleted;
      total.requests += stats.requests;
      if (events.length || stats.bytesRead || stats.filesCompleted) progress = performance.now();
      kinds.delete('data'); // reported, and stepped around
      wait = batch.nextPollMs;
    } else {
      if (kinds.has('config') || kinds.has('state')) return 2;
      wait = failure.problem.retryAfterMs || RETRY_AFTER;
    }
    const next = (batch ?? failure).state;
    if (next !== undefined && next !== state) {
      state = next;
      if (options.state) await save(options.state, state);
    }
    if (options['until-caught-up'] && wait) {
      if (batch && !kinds.size && !batch.stats.backlogFiles) return 0;
      if (kinds.size && !kinds.has('transient') && !kinds.has('rate-limited')) return 1;
      if (performance.now() - progress + wait > PATIENCE) {
        console.error(`given up: no progress, and the next attempt is ${Math.round(wait / 1000)} s away`);
        return 1;
      }
    }
    await sleep(wait, undefined, { signal: stop }).catch(() => {}); // even 0 ms let a signal in
  }
  return 0;
}

const USAGE = `usage: collect.mjs COMPONENT.js CONFIG.json [--state FILE] [--output FILE] [--until-caught-up] [--allow HOST]...
       collect.mjs COMPONENT.js --describe`;

async function main() {
  const flag = { type: 'boolean' };
  const text = { type: 'string' };
  const { positionals, values: options } = parseArgs({
    allowPositionals: true,
    options: {
      state: text, output: text, allow: { type: 'string', multiple: true },
      'until-caught-up': flag, describe: flag, help: flag,
    },
  });
  if (options.help) return console.log(USAGE);
  const [component, config] = positionals;
  if (!component || !(config || options.describe) || positionals.length > 2) throw new Mistake(USAGE);

  let granted = [];
  const allowed = (authority) => !options.allow || options.allow.some((pattern) => covers(pattern, authority));
  const source = await load(component, (authority) => granted.includes(authority) && allowed(authority));
  if (options.describe) {
    const { name, version, streams } = source.describe();
    return console.log(JSON.stringify({ name, version, streams }, null, 2));
  }
  let document;
  try {
    document = JSON.parse(read(config, 'CONFIG'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Its message quotes the document, which holds secrets.
    throw new Mistake(`${config}: not JSON${/ at position \d+/.exec(error.message)?.[0] ?? ''}`);
  }
  try {
    const { authorities, warnings } = source.configure(JSON.stringify(resolved(document, dirname(config))));
    granted = authorities;
    for (const warning of warnings) console.error(words(warning));
  } catch (error) {
    if (Array.isArray(error.payload)) throw new Mistake(error.payload.map(words).join('\n'));
    throw error;
  }

  const stop = new AbortController(); // after this batch
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  const state = options.state && existsSync(options.state) ? read(options.state, '--state') : undefined;
  const output = options.output ? await openOutput(options.output) : STDOUT;
  const total = { events: 0, files: 0, requests: 0 };
  try {
    return await run(source, options, state, output, stop.signal, total);
  } catch (error) {
    if (error.code === 'EPIPE') return 0; // the reader of standard output has gone, as in `collect.mjs ... | head`
    throw error;
  } finally {
    await output.close();
    console.error(`${total.events} events from ${total.files} files in ${total.requests} requests`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const mistake = error instanceof Mistake || error.code?.startsWith('ERR_PARSE_ARGS');
  const crash = error instanceof WebAssembly.RuntimeError;
  const what = mistake ? '' : crash ? 'error: the component crashed, perhaps at the limit of its memory: ' : 'error: ';
  console.error(what + (error.message ?? error));
  process.exitCode = mistake ? 2 : 1;
}

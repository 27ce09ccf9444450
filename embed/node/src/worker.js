// The component's thread. It takes one call at a time, {call, args, now}, and answers {value}, {failure} or {crash}.
//
// The component gets clocks, 64 MiB of memory, and HTTP to the authorities that its configuration names and the user
// allows. The module is not given anything else, so there is no file, environment or socket to be reached.

import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import * as clocks from '@bytecodealliance/preview2-shim/clocks';
import * as http from '@bytecodealliance/preview2-shim/http';
import * as io from '@bytecodealliance/preview2-shim/io';
import * as contract from './contract.js';
import { GUARDED } from './address.js';
import { Gate } from './gate.js';
import { imports03 } from './wasi-0.3.js';
import { PAGE, bounded } from './memory.js';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
const { module, limits, allow, isAsync } = workerData;
const CONTRACT = isAsync ? contract.ASYNC_CONTRACT : contract.CONTRACT;

// What the shim prints when it gives up is not for the user's terminal.
for (const stream of [process.stdout, process.stderr]) stream.write = () => true;

const gate = new Gate(allow);
/** @type {WebAssembly.Memory | undefined} */
let memory;
/** How far the component's clocks are ahead of the system's, in milliseconds. */
let ahead = 0;

const imports02 = {
  'wasi:clocks/wall-clock': {
    ...clocks.wallClock,
    now() {
      const now = Date.now() + ahead;
      return { seconds: BigInt(Math.floor(now / 1000)), nanoseconds: Math.floor(now % 1000) * 1e6 };
    },
  },
  'wasi:clocks/monotonic-clock': {
    ...clocks.monotonicClock,
    now: () => clocks.monotonicClock.now() + BigInt(Math.floor(ahead)) * 1_000_000n,
    subscribeInstant: (/** @type {bigint} */ instant) =>
      clocks.monotonicClock.subscribeInstant(instant - BigInt(Math.floor(ahead)) * 1_000_000n),
  },
  'wasi:http/outgoing-handler': {
    /** @param {any} request @param {any} options */
    handle(request, options) {
      // Without a scheme, the shim takes https too.
      if (!gate.admits(request.scheme()?.tag ?? 'HTTPS', request.authority(), request.pathWithQuery())) throw { tag: 'HTTP-request-denied' };
      // The shim takes the time to connect for the time until an answer begins, which is too short for a slow query.
      options?.setConnectTimeout(options.firstByteTimeout());
      return http.outgoingHandler.handle(request, options);
    },
  },
  'wasi:http/types': {
    ...http.types,
    // The shim has no code of the contract for a body that breaks off, and jco would let the component crash over it.
    httpErrorCode: (/** @type {any} */ { payload }) => (payload?.tag ? payload : { tag: 'connection-terminated' }),
  },
  'wasi:io/error': io.error,
  'wasi:io/poll': io.poll,
  'wasi:io/streams': io.streams,
};

async function load() {
  /** @type {WeakMap<WebAssembly.Module, number>} */
  const defined = new WeakMap();
  let memories = 0;
  /** @param {string} name */
  const compile = async (name) => {
    const core = bounded(await readFile(new URL(name, module)), Math.floor(limits.memoryBytes / PAGE));
    const compiled = await WebAssembly.compile(core.module);
    defined.set(compiled, core.memories);
    return compiled;
  };
  /** @param {WebAssembly.Module} core @param {WebAssembly.Imports} given */
  const instantiateCore = async (core, given) => {
    memories += defined.get(core) ?? 1;
    if (memories > 1) throw new Error('it wants more than one memory');
    const instance = await WebAssembly.instantiate(core, given);
    for (const item of Object.values(instance.exports)) if (item instanceof WebAssembly.Memory) memory ??= item;
    return instance;
  };
  if (!(/** @type {any} */ (globalThis)[GUARDED])) throw new Error('this Node does not take NODE_OPTIONS, by which requests are guarded');
  const imports = isAsync ? await imports03(gate, () => ahead) : imports02;
  const { instantiate } = await import(module);
  if (typeof instantiate !== 'function') throw new Error('it is not a module that `transpile` made');
  const exports = await instantiate(compile, imports, instantiateCore);
  if (exports[CONTRACT]) return exports[CONTRACT];
  const other = Object.keys(exports).find((name) => name.startsWith(CONTRACT.replace(/@.*/, '@')));
  throw new Error(other ? `it speaks ${other}, and this package ${CONTRACT}` : `it is no source: it does not export ${CONTRACT}`);
}

/** @param {any} source @returns {Record<string, (...args: any[]) => any>} */
const calls = (source) => ({
  describe: async () => contract.description(await source.describe()),
  async configure(config) {
    const grants = contract.grants(await source.configure(config));
    gate.grant(grants.authorities);
    return grants;
  },
  check: async () => contract.findings(await source.check()),
  confine: ({ fromMs, untilMs }) => source.confine({ fromMs: BigInt(fromMs), untilMs: BigInt(untilMs) }),
  isComplete: (state) => source.isComplete(state),
  poll: async (state) => contract.batch(await source.poll(state), limits),
});

/** What the contract provides for. @param {string} call @param {any} payload */
function failure(call, payload) {
  if (call === 'configure') return { problems: contract.problems(payload) };
  if (call === 'confine') return { problems: [contract.problem(payload)] };
  const { problem, state } = payload;
  return {
    problems: [contract.problem(problem)],
    ...(state !== undefined && { state: contract.state(state, limits.stateBytes) }),
  };
}

/** @param {string} call @param {any} error */
function crash(call, error) {
  if (error instanceof contract.Refusal) return { reason: 'refused', message: `the component returned ${error.message}` };
  const [held, limit] = [memory?.buffer.byteLength ?? 0, limits.memoryBytes].map((size) => Math.round(size / 2 ** 20));
  const what = `the component crashed in \`${call}\`: ${error?.message ?? error}`;
  // That it was refused more cannot be seen. What grows asks for twice as much.
  if (held < limit / 2) return { reason: 'trap', message: what };
  return { reason: 'memory', message: `${what}, perhaps at its limit of ${limit} MiB of memory, of which it had ${held}` };
}

/** @param {any} source @param {string} call @param {any[]} args */
async function answer(source, call, args) {
  try {
    return { value: await calls(source)[call](...args) };
  } catch (/** @type {any} */ error) {
    try {
      if (error?.payload !== undefined) return { failure: failure(call, error.payload) };
      return { crash: crash(call, error) };
    } catch (refusal) {
      return { crash: crash(call, refusal) };
    }
  }
}

try {
  const source = await load();
  port.on('message', async ({ call, args, now }) => {
    if (now !== undefined) ahead = now - Date.now();
    port.postMessage(await answer(source, call, args));
  });
  port.postMessage({ value: undefined });
} catch (/** @type {any} */ error) {
  port.postMessage({ unloadable: String(error?.message ?? error) });
}

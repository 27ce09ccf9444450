// Turns a component into a module, in a thread of its own: it takes a second or two.

import { parentPort, workerData } from 'node:worker_threads';
import { ASYNC_CONTRACT } from './contract.js';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
const { bytes, name, contract } = workerData;

/** What waits in a component for WASI 0.3, on either side. */
const WAITS = {
  tag: /** @type {const} */ ('jspi'),
  val: {
    imports: ['wasi:http/client@0.3.0#send', 'wasi:clocks/monotonic-clock@0.3.0#wait-for', 'wasi:clocks/monotonic-clock@0.3.0#wait-until'],
    exports: ['check', 'poll', 'follow'].map((name) => `${ASYNC_CONTRACT}#${name}`),
  },
};

/** The bindings generator that jco-transpile calls, without the optimizer and the minifier beside it. */
async function bindgen() {
  try {
    return await import('@bytecodealliance/jco-transpile/component');
  } catch (/** @type {any} */ error) {
    if (error?.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

const generator = await bindgen();
if (generator) {
  await generator.$init;
  try {
    const { files, exports } = generator.generate(bytes, {
      name,
      map: [],
      // The module takes its imports from the host, which so decides what the component may do.
      instantiation: { tag: 'async' },
      ...(contract === ASYNC_CONTRACT && { asyncMode: WAITS }),
      noTypescript: true,
      // An error of the contract has a `payload`, and a crash has none.
      noComponentErrorWrapping: false,
      // No core module within the JavaScript, where its memory could not be bounded.
      base64Cutoff: 0,
    });
    port.postMessage({ files, exports: exports.map(([name]) => name) });
  } catch (/** @type {any} */ error) {
    port.postMessage({ invalid: String(error?.message ?? error).split('\n')[0] });
  }
} else {
  port.postMessage({ missing: true });
}

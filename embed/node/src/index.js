import { vectorProblem, versionProblem } from './version.js';
import { moduleOf } from './transpile.js';
import { parseRules } from './authority.js';
import { documentOf } from './config.js';
import { ComponentError } from './errors.js';
import { Instance } from './instance.js';
import { Source } from './source.js';
import { fileStore } from './state.js';

export { readConfig } from './config.js';
export {
  ClosedError, ComponentError, ConfigurationError, CrashError, PollError, SourceError, StateError,
} from './errors.js';
export { fileStore } from './state.js';
export { transpile } from './transpile.js';

/** @import * as api from '../index.js' */

const LIMITS = {
  memoryBytes: 64 << 20,
  callTimeMs: 300_000,
  batchEvents: 100_000,
  batchBytes: 32 << 20,
  eventBytes: 8 << 20,
  stateBytes: 1 << 20,
  longestWaitMs: 24 * 3_600_000,
};

/** @param {string | URL | Uint8Array} component @param {api.LoadOptions & { allow?: string[] }} options */
async function prepared(component, options) {
  const problem = versionProblem(process.versions.node) ?? vectorProblem();
  if (problem) throw new ComponentError({ kind: 'config', message: problem });
  const limits = { ...LIMITS, ...options.limits };
  const { module, digest, isAsync } = await moduleOf(component, options);
  return { limits, digest, load: () => Instance.load(module, { limits, allow: options.allow, isAsync }) };
}

/** @type {typeof api.open} */
export async function open(component, config, options = {}) {
  const document = documentOf(config);
  const rules = options.allow && parseRules(options.allow);
  const { limits, digest, load } = await prepared(component, options);
  const store = typeof options.state === 'string' ? fileStore(options.state) : options.state;
  const source = new Source(load, document, { ...options, limits, rules, store });
  try {
    await source.begin(digest);
  } catch (error) {
    await source.close();
    throw error;
  }
  return source;
}

/** @type {typeof api.describe} */
export async function describe(component, options = {}) {
  const { limits, load } = await prepared(component, options);
  const instance = await load();
  try {
    return await instance.call('describe', [], limits.callTimeMs);
  } finally {
    await instance.stop();
  }
}

// A state in a file of its own, held by one process.

import { lstat, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { LARGEST_FILE, Unfit, seal, unseal } from './envelope.js';
import { StateError, reason } from './errors.js';
import { NoFile, readUpTo, syncFolderOf } from './file.js';
import { NoLocks, lock } from './lock.js';

/** @import { Owner } from './envelope.js' */

const LEFT = 'it is left as it is: put a copy back, or move it away to begin anew';

/** @param {string} message @param {string} [hint] @param {unknown} [cause] */
const refuse = (message, hint, cause) => new StateError({ kind: 'state', message, hint }, { cause });

/** @type {typeof import('../index.js').fileStore} */
export function fileStore(given, { lock: wantsLock = true, tenant = 'default' } = {}) {
  let path = resolve(given);
  let revision = 0;
  /** @type {Owner} */
  const owner = { tenant, component: 'unknown', version: null, digest: null };
  /** @type {import('node:fs/promises').FileHandle | undefined} */
  let held;

  async function hold() {
    path = await real(path);
    if ((await lstat(path).catch(() => undefined))?.isSymbolicLink()) throw refuse(`${given}: the state is a link that leads nowhere`);
    if (!wantsLock || held) return;
    try {
      held = await lock(`${path}.lock`);
    } catch (/** @type {any} */ error) {
      if (error instanceof NoLocks) {
        throw refuse(`${given}: cannot lock the state: ${error.message}`, 'set `lock` to false where no two run with it', error);
      }
      throw refuse(`${given}.lock: cannot lock the state: ${reason(error)}`, undefined, error);
    }
    if (!held) throw refuse(`${given}: another process uses this state`, 'stop it, or give this one a state of its own');
  }

  /** What is written to a removed file is lost, and a lock on one holds nobody off. */
  async function isHeld() {
    if (!held) return;
    const [ours, there] = await Promise.all([held.stat(), stat(`${path}.lock`).catch(() => undefined)]);
    if (ours.ino !== there?.ino) {
      throw refuse(`${given}.lock was removed or replaced, so that another process may use the state too; nothing more is stored`, 'see to it that nothing cleans up that folder, and start again');
    }
  }

  return {
    bind({ name, version }, digest) {
      Object.assign(owner, { component: name, version, digest: digest ?? null });
    },
    async load() {
      await hold();
      try {
        await probe(path);
      } catch (error) {
        throw refuse(`${given}: a state could not be stored there: ${reason(error)}`, undefined, error);
      }
      const bytes = await content(path, given);
      if (!bytes) return undefined;
      try {
        const { state, label } = unseal(bytes);
        if (label) belongs(label, owner, given);
        revision = label?.revision ?? 0;
        return state;
      } catch (error) {
        if (error instanceof Unfit) throw refuse(`${given}: the state ${error.message}`, LEFT);
        throw error;
      }
    },
    async save(state) {
      await isHeld();
      try {
        await replace(path, seal(owner, revision + 1, state));
      } catch (error) {
        if (error instanceof Unfit) throw refuse(`${given}: a state ${error.message}`);
        throw refuse(`${given}: cannot store the state: ${reason(error)}`, undefined, error);
      }
      revision += 1;
    },
    async close() {
      await held?.close();
      held = undefined;
    },
  };
}

/** @param {Owner} found @param {Owner} owner @param {string} given */
function belongs(found, owner, given) {
  for (const what of /** @type {const} */ (['tenant', 'component'])) {
    if (owner[what] !== found[what]) {
      throw refuse(`${given}: the state was stored for the ${what} ${JSON.stringify(found[what])}, and not for ${JSON.stringify(owner[what])}`, LEFT);
    }
  }
}

/** One file, one lock: whichever links lead to it. @param {string} path */
async function real(path) {
  try {
    return await realpath(path);
  } catch {
    try {
      return join(await realpath(dirname(path)), basename(path));
    } catch {
      return path;
    }
  }
}

/** @param {string} path @param {string} given */
async function content(path, given) {
  try {
    return await readUpTo(path, LARGEST_FILE);
  } catch (/** @type {any} */ error) {
    if (error?.code === 'ENOENT') return undefined;
    if (error instanceof NoFile) throw refuse(`${given}: it is not a file, so it holds no state`);
    throw refuse(`${given}: cannot read the state: ${reason(error)}`, undefined, error);
  }
}

/** Tries whether a state could be stored, before anything is collected. @param {string} path */
async function probe(path) {
  const file = await fresh(`${path}.tmp`);
  await file.close();
  await rm(`${path}.tmp`);
}

/** What a killed process left is removed rather than written to: it may be a link, or readable by all. @param {string} path */
async function fresh(path) {
  await rm(path, { force: true });
  return open(path, 'wx', 0o600);
}

/** Replaces the file as a whole or not at all. @param {string} path @param {Buffer} bytes */
async function replace(path, bytes) {
  const file = await fresh(`${path}.tmp`);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  await syncFolderOf(path);
}

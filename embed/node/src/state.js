// A state in a file: the state alone, as the Python host writes it too.

import { open, readFile, realpath, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StateError, reason } from './errors.js';
import { NoLocks, lock } from './lock.js';

const LARGEST = 1 << 20;

/** @param {string} message @param {string} [hint] @param {unknown} [cause] */
const refuse = (message, hint, cause) => new StateError({ kind: 'state', message, hint }, { cause });

/** @type {typeof import('../index.js').fileStore} */
export function fileStore(given, { lock: wantsLock = true } = {}) {
  let path = resolve(given);
  /** @type {import('node:fs/promises').FileHandle | undefined} */
  let held;

  async function hold() {
    path = await real(path);
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

  return {
    async load() {
      await hold();
      const bytes = await content(path, given);
      return bytes === undefined ? undefined : text(bytes, given);
    },
    async save(state) {
      try {
        await replace(path, state);
      } catch (error) {
        throw refuse(`${given}: cannot store the state: ${reason(error)}`, undefined, error);
      }
    },
    async close() {
      await held?.close();
      held = undefined;
    },
  };
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
    const { size, isFile } = await stat(path).then((found) => ({ size: found.size, isFile: found.isFile() }));
    if (!isFile) throw refuse(`${given}: it is not a file, so it holds no state`);
    if (size > LARGEST + (16 << 10)) throw refuse(`${given}: it is larger than 1 MiB, so no source wrote it`);
    return await readFile(path);
  } catch (/** @type {any} */ error) {
    if (error?.code === 'ENOENT') return undefined;
    if (error instanceof StateError) throw error;
    throw refuse(`${given}: cannot read the state: ${reason(error)}`, undefined, error);
  }
}

/** @param {Buffer} bytes @param {string} given */
function text(bytes, given) {
  if (bytes[0] === 0xff && bytes.subarray(1, 6).toString() === 'state') {
    throw refuse(`${given}: it was written by source-host`, `\`tail -n +3 ${given} > plain.json\` takes the state out of it`);
  }
  if (bytes.length === 0) throw refuse(`${given}: it is empty, so it holds no state`, 'put a copy back, or remove it to begin anew');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse(`${given}: it is damaged: it is not UTF-8`, 'put a copy back, or remove it to begin anew');
  }
}

/** Replaces the file as a whole or not at all. @param {string} path @param {string} state */
async function replace(path, state) {
  const beside = `${path}.tmp`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(state);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  // On Windows folders cannot be opened.
  if (process.platform === 'win32') return;
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

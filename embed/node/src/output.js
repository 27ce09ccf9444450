// Where the program writes events: a line each.

import { open, realpath, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ConfigurationError, reason } from './errors.js';
import { syncFolderOf } from './file.js';
import { NoLocks, lock } from './lock.js';

/** @typedef {{ write(text: string): Promise<void>, close(): Promise<void> }} Output */

const BLOCK_BYTES = 65_536;

/** @param {string} message */
const refuse = (message) => new ConfigurationError({ kind: 'config', message });

/** @returns {Output} */
export function standardOutput() {
  process.stdout.on('error', () => {}); // each write reports its own
  const write = promisify((/** @type {string} */ text, /** @type {(error?: Error | null) => void} */ done) =>
    process.stdout.write(text, done),
  );
  return { write, close: async () => {} };
}

/**
 * Appends to a file, for this process alone. A last line without an end was torn when a run was killed; its batch was not
 * acknowledged and comes again, so the line is cut off. A file that was given another name meanwhile (logrotate) is begun anew by its own.
 *
 * @param {string} path
 * @returns {Promise<Output>}
 */
export async function fileOutput(path) {
  /** @type {import('node:fs/promises').FileHandle} */
  let file;
  let held;
  let real = path;
  try {
    // One that is not there yet, or a link that leads nowhere, has no real path.
    await (await open(path, 'a', 0o600)).close();
    real = await realpath(path);
    // One file, one lock: whichever links lead to it.
    held = await lock(`${real}.lock`);
    if (!held) throw refuse(`${path}: another process writes to this file; stop it, or choose another file`);
    // Behind the lock: whoever held it before may have given the file another name until then.
    file = await opened(real, path);
  } catch (error) {
    await held?.close();
    if (error instanceof ConfigurationError) throw error;
    if (error instanceof NoLocks) throw refuse(`${path}: cannot lock the file: ${error.message}`);
    throw refuse(`${path}: cannot write events: ${reason(error)}`);
  }
  return {
    async write(text) {
      if (!(await isInPlace(file, real))) {
        // Whoever rotated it may compress it or take it away.
        const next = await opened(real, path);
        await file.close();
        file = next;
      }
      await file.appendFile(text);
      await file.sync();
    },
    async close() {
      await file.close();
      await held.close();
    },
  };
}

/**
 * Opens it, or makes it, and mends its end.
 *
 * @param {string} real
 * @param {string} path as it was given
 */
async function opened(real, path) {
  const file = await open(real, 'a+', 0o600);
  try {
    // The name of a new file has to survive as well, or its events are lost and the state is kept.
    await syncFolderOf(real);
    await cutTornLine(file, path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** @param {import('node:fs/promises').FileHandle} file @param {string} path */
async function isInPlace(file, path) {
  try {
    const [own, there] = await Promise.all([file.stat({ bigint: true }), stat(path, { bigint: true })]);
    return own.ino === there.ino && own.dev === there.dev;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** @param {import('node:fs/promises').FileHandle} file @param {string} path */
async function cutTornLine(file, path) {
  const end = (await file.stat()).size;
  const block = Buffer.alloc(BLOCK_BYTES);
  let start = end;
  while (start > 0) {
    const from = Math.max(0, start - BLOCK_BYTES);
    const { bytesRead } = await file.read(block, 0, start - from, from);
    const found = block.subarray(0, bytesRead).lastIndexOf(0x0a);
    start = found < 0 ? from : from + found + 1;
    if (found >= 0) break;
  }
  if (start === end) return;
  await file.read(block, 0, 1, start);
  if (block[0] !== 0x7b) {
    throw refuse(`${path}: does not end with a line of events; choose another file or move it away`);
  }
  await file.truncate(start);
}

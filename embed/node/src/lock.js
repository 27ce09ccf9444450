// A lock on a file that ends with the process, whatever ends it: `flock`, as source-host takes it, so that the two exclude
// each other. Node has no call for it. On Linux the program flock(1) of util-linux or BusyBox takes it on our open file,
// where it stays when the program has ended; on macOS and Windows opening takes it.

import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { constants } from 'node:fs';

/** Opening flags that lock, which Node passes on and has no names for. @type {Record<string, number>} */
const LOCKING = { darwin: 0x20 | constants.O_NONBLOCK, win32: 0x1000_0000 };

/** There is no way to lock here. */
export class NoLocks extends Error {}

/**
 * The open lock, or nothing where another process holds it.
 *
 * @param {string} path
 */
export async function lock(path) {
  const flags = constants.O_RDWR | constants.O_CREAT;
  const locking = LOCKING[process.platform];
  if (locking !== undefined) {
    try {
      return await open(path, flags | locking, 0o600);
    } catch (/** @type {any} */ error) {
      if (['EAGAIN', 'EWOULDBLOCK', 'EBUSY'].includes(error?.code)) return undefined;
      throw error;
    }
  }
  const file = await open(path, flags, 0o600);
  try {
    if (await flock(file.fd)) return file;
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

/** @param {number} fd @returns {Promise<boolean>} */
function flock(fd) {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', () => reject(new NoLocks('there is no program flock (util-linux or BusyBox)')));
    child.once('exit', (code) => (code === 0 || code === 1 ? resolve(code === 0) : reject(new NoLocks(`flock ended with ${code}`))));
  });
}

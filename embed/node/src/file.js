import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** It is no file, so that reading it might never end. */
export class NoFile extends Error {}

/** The content of a file: of one that is longer than `most` bytes, one byte more than that. @param {string} path @param {number} most */
export async function readUpTo(path, most) {
  // Asked before opening: opening a pipe would wait for ever.
  if (!(await stat(path)).isFile()) throw new NoFile('it is not a file');
  const file = await open(path);
  try {
    return Buffer.concat(await file.createReadStream({ end: most, autoClose: false }).toArray());
  } finally {
    await file.close();
  }
}

/** Sees to it that the name of a file survives, whose content was synced by itself. @param {string} path */
export async function syncFolderOf(path) {
  // On Windows folders cannot be opened.
  if (process.platform === 'win32') return;
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

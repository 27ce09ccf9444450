// A state in a file with what is kept beside it, as source-host and the Python package write it too:
//
//     <FF>state<FF>1 <SHA-256 of all that follows this line, in hex>
//     {"tenant":"acme","component":"salesforce","version":"1.4.0","digest":"sha256:...","revision":17,...}
//     the state, verbatim
//
// The byte FF stands in no UTF-8, so that a file which holds the state alone is told from it, and taken over.

import { createHash } from 'node:crypto';

export const LARGEST_STATE = 1 << 20;
export const LARGEST_FILE = LARGEST_STATE + (16 << 10);
const MAGIC = Buffer.from('\xffstate\xff', 'latin1');
const FORMAT = Buffer.from('1 ');

/** @typedef {{ tenant: string, component: string, version: string | null, digest: string | null }} Owner */

/** What is wrong with a file, to be put behind its name. */
export class Unfit extends Error {}

/** @param {Uint8Array} body */
const checksum = (body) => createHash('sha256').update(body).digest('hex');

/** @param {Owner} owner @param {number} revision @param {string} state */
export function seal(owner, revision, state) {
  const bytes = Buffer.byteLength(state);
  // What no run could load again.
  if (bytes === 0 || bytes > LARGEST_STATE) throw new Unfit('has 1 byte to 1 MiB; the one stored before is kept');
  const label = { ...owner, revision, saved_at: Date.now(), bytes };
  const body = Buffer.from(`${JSON.stringify(label)}\n${state}`);
  return Buffer.concat([MAGIC, FORMAT, Buffer.from(`${checksum(body)}\n`), body]);
}

/**
 * The state in a file, and its label unless it stands there alone.
 *
 * @param {Buffer} bytes
 * @returns {{ state: string, label?: Owner & { revision: number } }}
 */
export function unseal(bytes) {
  if (bytes.length > LARGEST_FILE) throw new Unfit('is larger than 1 MiB, so no source wrote it');
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return { state: text(bytes) };
  const sealed = bytes.subarray(MAGIC.length);
  if (!sealed.subarray(0, FORMAT.length).equals(FORMAT)) throw new Unfit('is damaged, or was written by a newer program');
  const [sum, body] = split(sealed.subarray(FORMAT.length));
  if (sum.toString('latin1') !== checksum(body)) throw new Unfit('is damaged');
  const [header, state] = split(body);
  try {
    const { tenant, component, version, digest, revision } = JSON.parse(header.toString());
    return { state: text(state), label: { tenant, component, version, digest, revision: Number(revision) } };
  } catch (error) {
    if (error instanceof Unfit) throw error;
    throw new Unfit('is damaged, or was written by a newer program');
  }
}

/** @param {Buffer} bytes */
function split(bytes) {
  const end = bytes.indexOf(0x0a);
  if (end < 0) throw new Unfit('is damaged');
  return [bytes.subarray(0, end), bytes.subarray(end + 1)];
}

/** @param {Buffer} bytes */
function text(bytes) {
  if (bytes.length === 0) throw new Unfit('is empty');
  if (bytes.length > LARGEST_STATE) throw new Unfit('is larger than 1 MiB, so no source wrote it');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Unfit('is not UTF-8, so no source wrote it');
  }
}

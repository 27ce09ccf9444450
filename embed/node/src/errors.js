/** @import { Problem, Kind } from '../index.js' */

export class SourceError extends Error {
  /**
   * @param {Problem} problem
   * @param {{ problems?: Problem[], cause?: unknown }} [options]
   */
  constructor({ message, ...rest }, { problems, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    /** @type {Kind} */
    this.kind = rest.kind;
    this.stream = rest.stream;
    this.path = rest.path;
    this.hint = rest.hint;
    this.retryAfterMs = rest.retryAfterMs;
    /** @type {Problem[]} */
    this.problems = problems ?? [{ message, ...rest }];
  }
}

export class ComponentError extends SourceError {}
export class ConfigurationError extends SourceError {}
export class StateError extends SourceError {}
export class PollError extends SourceError {}
export class ClosedError extends SourceError {}

export class CrashError extends SourceError {
  /**
   * @param {'trap' | 'memory' | 'time' | 'refused'} reason
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(reason, message, options) {
    super({ kind: 'internal', message }, options);
    this.reason = reason;
  }
}

/**
 * What a failed system call means for whoever gave the path.
 *
 * @param {any} error
 */
export function reason(error) {
  /** @type {Record<string, string>} */
  const known = {
    ENOENT: 'there is no such file or folder',
    ENOTDIR: 'a part of its path is not a folder',
    EISDIR: 'it is a folder; name a file in it',
    EACCES: 'permission denied; let this user read and write there',
    EPERM: 'permission denied; let this user read and write there',
    EROFS: 'the file system is read-only; name another place',
    ENOSPC: 'the disk is full; free some space',
    ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8',
  };
  return known[error?.code] ?? error?.code ?? 'unknown reason';
}

/**
 * One line for a person.
 *
 * @param {Problem} problem
 */
export function words({ kind, path, stream, message, hint }) {
  const where = path ?? stream;
  return `${kind}: ${where ? `${where}: ` : ''}${message}${hint ? ` (${hint})` : ''}`;
}

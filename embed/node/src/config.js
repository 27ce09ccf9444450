// The document that `configure` takes.

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigurationError, reason } from './errors.js';

/** @param {string} message @param {string} [path] */
const refuse = (message, path) => new ConfigurationError({ kind: 'config', message, path });

/** @type {typeof import('../index.js').readConfig} */
export async function readConfig(path) {
  const text = await readText(path, String(path));
  return resolved(parse(text, `${path}: it is`), dirname(path));
}

/** @param {string} text @param {string} what */
export function parse(text, what) {
  try {
    return JSON.parse(text);
  } catch (/** @type {any} */ error) {
    // Its message quotes the document, which holds secrets.
    throw refuse(`${what} not JSON${/ at position \d+/.exec(error.message)?.[0] ?? ''}`);
  }
}

/** @param {object | string} config */
export function documentOf(config) {
  const document = typeof config === 'string' ? parse(config, 'the configuration is') : config;
  if (document === null || typeof document !== 'object' || Array.isArray(document)) {
    throw refuse('the configuration is not an object');
  }
  try {
    return JSON.stringify(document);
  } catch {
    throw refuse('the configuration cannot be written as JSON');
  }
}

/**
 * A document with a text in place of each {"file": ...} and {"env": ...}. A name that leads nowhere is not shown: it may be
 * the secret itself.
 *
 * @param {any} value
 * @param {string} folder
 * @param {string} [path]
 * @returns {Promise<any>}
 */
export async function resolved(value, folder, path = '') {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    return Promise.all(value.map((item, index) => resolved(item, folder, `${path}[${index}]`)));
  }
  const entries = Object.entries(value);
  if (entries.length === 1 && typeof entries[0][1] === 'string') {
    const [[kind, name]] = entries;
    if (kind === 'file') return withoutBreak(await readText(resolve(folder, name), 'the file that it names', path));
    if (kind === 'env') {
      const text = process.env[name];
      if (!text) throw refuse('the environment variable that it names is not set', path);
      return text;
    }
  }
  const items = entries.map(async ([key, item]) => [key, await resolved(item, folder, path ? `${path}.${key}` : key)]);
  return Object.fromEntries(await Promise.all(items));
}

/** Editors end a file with a line break that is no part of a password. @param {string} text */
const withoutBreak = (text) => text.replace(/[\r\n]+$/, '');

/** @param {string} file @param {string} shown @param {string} [path] */
export async function readText(file, shown, path) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(file));
  } catch (error) {
    throw refuse(`cannot read ${shown}: ${reason(error)}`, path);
  }
}

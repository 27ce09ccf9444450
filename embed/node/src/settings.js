// The program's configuration in TOML: the file that source-host takes, as far as it applies here. Mistakes are collected,
// not stopped at.

import { dirname, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { parseRule } from './authority.js';
import { readText, resolved } from './config.js';
import { ConfigurationError } from './errors.js';

/** @import { Limits, Problem } from '../index.js' */
/** @typedef {{ component: string, source: object, state?: string, output?: string, allow: string[], digest?: string, wasi03?: boolean, limits: Limits }} Settings */

const TABLES = ['component', 'source', 'state', 'output', 'egress', 'limits', 'admission'];
/** @type {Record<string, Record<string, keyof Limits>>} */
const LIMITS = {
  size: { memory: 'memoryBytes', batch_bytes: 'batchBytes', event_bytes: 'eventBytes' },
  time: { call_time: 'callTimeMs', longest_wait: 'longestWaitMs' },
};
/** @type {Record<string, Record<string, number>>} */
const UNITS = {
  size: { '': 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
  time: { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 },
};
const EXAMPLES = { size: 'a size is expected, such as "64MiB"', time: 'a time is expected, such as "30s"' };

/** What source-host has besides. */
const ELSEWHERE = {
  egress: ['private', 'ca_file', 'roots', 'client_certificate', 'client_key', 'proxy'],
  limits: ['cpu_time', 'connections', 'requests_per_second', 'request_bytes', 'received_bytes', 'request_time', 'log_lines_per_minute'],
  admission: ['signed_by', 'component_bytes', 'functions', 'function_bytes', 'code_bytes', 'declarations', 'compile_time', 'compile_memory'],
  output: ['rotate_size', 'rotate_after', 'keep'],
};

/** @param {string} path @returns {Promise<Settings>} */
export async function readSettings(path) {
  const text = await readText(path, String(path));
  /** @type {Problem[]} */
  const mistakes = [];
  /** @param {string} at @param {string} message */
  const note = (at, message) => void mistakes.push({ kind: 'config', path: at, message });
  const root = table(text, path);
  const folder = dirname(path);

  known(root, '', TABLES, note);
  /** @param {string} name @param {string[]} keys @returns {Record<string, any>} */
  const part = (name, keys) => {
    const found = root[name] ?? {};
    if (typeof found !== 'object' || Array.isArray(found) || found instanceof Date) {
      note(name, `a table is expected: [${name}]`);
      return {};
    }
    known(found, `${name}.`, [...keys, ...(ELSEWHERE[/** @type {keyof ELSEWHERE} */ (name)] ?? [])], note);
    for (const key of Object.keys(found)) {
      if (ELSEWHERE[/** @type {keyof ELSEWHERE} */ (name)]?.includes(key)) {
        note(`${name}.${key}`, 'source-host has this, and this program has not; remove it here');
      }
    }
    return found;
  };
  /** @param {any} value @param {string} at @param {string} example */
  const file = (value, at, example) => {
    if (typeof value === 'string' && value !== '') return resolve(folder, value);
    return note(at, value === undefined ? `is missing; it is ${example}` : 'a path is expected, as a text');
  };

  const component = file(root.component, 'component', 'the component\'s file: component = "source.wasm"');
  const state = root.state === undefined ? undefined : file(part('state', ['path']).path, 'state.path', 'the file that remembers how far collection has come');
  const output = outputOf(part('output', ['kind', 'path']), note, file);
  const { allow = [] } = part('egress', ['allow']);
  if (!Array.isArray(allow) || !allow.every((rule) => typeof rule === 'string')) {
    note('egress.allow', 'a list of texts is expected: allow = ["logs.example.com"]');
  } else {
    for (const [index, rule] of allow.entries()) {
      try {
        parseRule(rule);
      } catch (/** @type {any} */ error) {
        note(`egress.allow[${index}]`, error.message);
      }
    }
  }
  const limits = limitsOf(part('limits', Object.values(LIMITS).flatMap(Object.keys)), note);
  const { digest, wasi_0_3: wasi03 } = part('admission', ['digest', 'wasi_0_3']);
  if (wasi03 !== undefined && typeof wasi03 !== 'boolean') note('admission.wasi_0_3', 'true or false is expected');
  if (digest !== undefined && !/^sha256:[0-9a-f]{64}$/i.test(digest)) {
    note('admission.digest', 'sha256: and 64 hexadecimal digits are expected');
  }
  let source = root.source ?? {};
  if (typeof source !== 'object' || Array.isArray(source)) note('source', 'a table is expected: [source]');
  try {
    source = await resolved(source, folder, 'source');
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    mistakes.push(...error.problems);
  }

  if (mistakes.length || !component) throw new ConfigurationError(mistakes[0], { problems: mistakes });
  return { component, source, state: state || undefined, output: output || undefined, allow, digest, wasi03, limits };
}

/** @param {string} text @param {string} path @returns {Record<string, any>} */
function table(text, path) {
  try {
    return parse(text);
  } catch (/** @type {any} */ error) {
    // Its message quotes the line, which may hold a password.
    const message = `${path}: not TOML at line ${error.line}, column ${error.column}`;
    throw new ConfigurationError({ kind: 'config', message });
  }
}

/** @typedef {(at: string, message: string) => void} Note */

/** @param {Record<string, any>} output @param {Note} note @param {(value: any, at: string, example: string) => string | void} file */
function outputOf({ kind = 'stdout', path }, note, file) {
  if (kind === 'file') return file(path, 'output.path', 'the file that events go to');
  if (kind !== 'stdout') note('output.kind', '"stdout" or "file" is expected; source-host has others');
  else if (path !== undefined) note('output.path', 'only kind = "file" has a path');
}

/** @param {Record<string, any>} found @param {Note} note */
function limitsOf(found, note) {
  /** @type {Limits} */
  const limits = {};
  for (const unit of /** @type {const} */ (['size', 'time'])) {
    for (const [key, name] of Object.entries(LIMITS[unit])) {
      if (found[key] === undefined) continue;
      const [, count, suffix] = /^(\d+)(\w*)$/.exec(found[key]) ?? [];
      const value = Number(count) * UNITS[unit][suffix];
      if (value > 0) limits[name] = value;
      else note(`limits.${key}`, EXAMPLES[unit]);
    }
  }
  return limits;
}

/** @param {Record<string, any>} found @param {string} prefix @param {string[]} keys @param {Note} note */
function known(found, prefix, keys, note) {
  for (const key of Object.keys(found)) {
    if (keys.includes(key)) continue;
    const [near] = keys.map((other) => ({ other, steps: distance(key, other) })).sort((a, b) => a.steps - b.steps);
    const guess = near.steps <= 3 ? `; did you mean \`${near.other}\`?` : '';
    note(`${prefix}${key}`, `unknown key${guess} (allowed here: ${keys.join(', ')})`);
  }
}

/** How many letters differ (Levenshtein). @param {string} a @param {string} b */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1])));
    }
    row = next;
  }
  return row[b.length];
}

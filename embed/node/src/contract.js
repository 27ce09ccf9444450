// What a component may return, and what it becomes for callers. Runs in the component's thread.

/** @import { Problem } from '../index.js' */

export const CONTRACT = 'pipeline:source/source@0.1.0';
/** The same for WASI 0.3. */
export const ASYNC_CONTRACT = 'pipeline:source/async-source@0.1.0';

/** What breaks the contract: nothing of it may be delivered. */
export class Refusal extends Error {}

const LIST_LENGTH = 100;
const BACKLOG_DAYS = 5_000;
const ANSWER_BYTES = 1 << 20;
const LEVELS = 127;

/** A text of the component's, fit for terminals and logs. @param {string} text */
const printable = (text) => text.slice(0, 4096).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\uFFFD');

/** @param {string} text */
const bytes = (text) => Buffer.byteLength(text);

/** @param {any} given @returns {Problem} */
export function problem(given) {
  /** @type {any} */
  const made = { kind: given.kind, message: printable(given.message) };
  for (const key of ['stream', 'path', 'hint']) {
    if (given[key] !== undefined) made[key] = printable(given[key]);
  }
  if (given.retryAfterMs !== undefined) made.retryAfterMs = given.retryAfterMs;
  return made;
}

/** The first of them, and how many more there were. @param {any[]} given */
export function problems(given) {
  const kept = given.slice(0, LIST_LENGTH).map(problem);
  const beyond = given.length - kept.length;
  if (beyond) kept.push({ kind: 'internal', message: `${beyond} more were reported and are not shown` });
  return kept;
}

/** @param {any[]} list @param {string} what */
function fits(list, what) {
  if (list.length > LIST_LENGTH) throw new Refusal(`${list.length} ${what}, more than the ${LIST_LENGTH} of its limit`);
  return list;
}

/** @param {string} text @param {string} what @param {number} limit */
function within(text, what, limit) {
  const size = bytes(text);
  if (size > limit) throw new Refusal(`${what} of ${size} bytes, more than the ${limit} of its limit`);
  return text;
}

/** @param {any} given */
export function description({ name, version, configSchema, streams }) {
  within(configSchema, 'a schema', ANSWER_BYTES);
  return {
    name: printable(name),
    version: printable(version),
    configSchema,
    streams: fits(streams, 'streams').map(({ name, summary }) => ({ name: printable(name), summary: printable(summary) })),
  };
}

/** @param {any} given */
export function grants({ authorities, warnings }) {
  return { authorities: fits(authorities, 'authorities').map(printable), warnings: problems(warnings) };
}

/** @param {any[]} given */
export function findings(given) {
  const days = fits(given, 'findings').reduce((sum, { backlog }) => sum + backlog.length, 0);
  if (days > BACKLOG_DAYS) throw new Refusal(`${days} days of backlog, more than the ${BACKLOG_DAYS} of its limit`);
  return given.map(({ name, verdict, message, hint, backlog }) => ({
    name: printable(name),
    verdict,
    message: printable(message),
    ...(hint !== undefined && { hint: printable(hint) }),
    backlog: backlog.map((/** @type {any} */ { kind, day, items, bytes }) => ({
      kind: printable(kind),
      ...(day !== undefined && { day: printable(day) }),
      ...(items !== undefined && { items }),
      ...(bytes !== undefined && { bytes: Number(bytes) }),
    })),
  }));
}

/** @param {string} text @param {number} limit */
export function state(text, limit) {
  // Whoever stored it could not tell it from none.
  if (text === '') throw new Refusal('an empty state');
  return within(text, 'a state', limit);
}

/** @param {any} given @param {Required<import('../index.js').Limits>} limits */
export function batch(given, limits) {
  const { events, stats } = given;
  if (events.length > limits.batchEvents) {
    throw new Refusal(`${events.length} events, more than the ${limits.batchEvents} of its limit`);
  }
  let total = 0;
  for (const [index, event] of events.entries()) {
    total += bytes(within(event, 'an event', limits.eventBytes));
    if (total > limits.batchBytes) throw new Refusal(`more than the ${limits.batchBytes} bytes of events of its limit`);
    if (!isObjectOnALine(event)) {
      throw new Refusal(`an event (number ${index + 1} of its batch) that is not one JSON object on one line`);
    }
  }
  return {
    lines: events,
    state: state(given.state, limits.stateBytes),
    nextPollMs: Math.min(given.nextPollMs, limits.longestWaitMs),
    problems: problems(given.problems),
    stats: { ...stats, backlogBytes: Number(stats.backlogBytes) },
  };
}

/**
 * Whether a text is what the strictest readers behind us take: RFC 8259, one object, on one line, whole characters, numbers
 * that a double holds, at most 127 levels, no name twice in an object.
 *
 * @param {string} text
 */
export function isObjectOnALine(text) {
  if (!text.startsWith('{') || !text.endsWith('}') || text.includes('\n') || text.includes('\r')) return false;
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  // `JSON.stringify` writes half a character as an escape, and whole ones as they are.
  if (text.includes('\\u') && /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(JSON.stringify(value))) return false;
  const names = count(value, 1);
  if (names < 0) return false;
  // `JSON.parse` keeps one of two equal names, so that fewer are left than were written.
  return names === written(text, names);
}

/** How many names are written in a document that is JSON. @param {string} text @param {number} expected */
function written(text, expected) {
  // This counts too many at most, and names are never fewer than expected: where both agree, it is right.
  if (!/"[ \t]/.test(text)) {
    let count = 0;
    for (let at = text.indexOf('":'); at >= 0; at = text.indexOf('":', at + 2)) count += 1;
    if (count === expected) return count;
  }
  let count = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"[ \t]*(:?)/g)) if (colon) count += 1;
  return count;
}

/** How many names there are in an object or a list; below 0 where it is too deep or has a number that is none. @param {any} value @param {number} level @returns {number} */
function count(value, level) {
  if (level > LEVELS) return -Infinity;
  const isList = Array.isArray(value);
  let names = 0;
  for (const key in value) {
    if (!isList) names += 1;
    const item = value[key];
    if (typeof item === 'object' && item !== null) names += count(item, level + 1);
    else if (typeof item === 'number' && !Number.isFinite(item)) return -Infinity;
  }
  return names;
}

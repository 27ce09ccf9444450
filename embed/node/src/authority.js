// Hosts and ports: what a rule of an allow-list covers, and where a request goes. Rules are those of source-host with one
// exception: a domain under which anybody can own a name (`*.co.uk`) is refused there and taken here, where the list of them is not.

import { isIP } from 'node:net';
import { ConfigurationError } from './errors.js';

/** @typedef {{ host: string, port?: number, isSuffix: boolean }} Rule */

const USUAL_PORT = { HTTP: 80, HTTPS: 443 };
const LABELS = /^(?!.{254})[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * A host as all of its spellings have it, and its port; nothing where a text is neither a name nor an address. One in disguise
 * (`0x7f.1`, `2130706433`) is neither: a URL shows it as what it is.
 *
 * @param {string} text
 */
export function parseAuthority(text) {
  const [, given, digits] = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (!given) return undefined;
  const host = given.toLowerCase().replace(/\.$/, '');
  const port = digits === undefined ? undefined : Number(digits);
  if (port === 0 || (port ?? 0) > 65_535 || !URL.canParse(`https://${host}`)) return undefined;
  const shown = new URL(`https://${host}`).host;
  return host.startsWith('[') || (shown === host && LABELS.test(host)) ? { host: shown, port } : undefined;
}

/** Reads a rule, `host`, `host:port`, `*.domain` or `*.domain:port`; throws a sentence if it is none. @param {string} text @returns {Rule} */
export function parseRule(text) {
  /** @param {string} why */
  const none = (why) => new RangeError(`\`${text}\` is no host to allow: ${why}`);
  if (/[/@]/.test(text)) throw none('write the host alone, without scheme, user and path');
  const isSuffix = text.startsWith('*.');
  const parsed = parseAuthority(isSuffix ? text.slice(2) : text);
  if (!parsed) {
    throw none('a host name (`logs.example.com`), a suffix (`*.example.com`) or an address is expected, with `:port` if it is not the usual one');
  }
  const isName = !parsed.host.startsWith('[') && !isIP(parsed.host);
  if (isSuffix && !(isName && parsed.host.includes('.'))) throw none('a suffix needs two labels, as in `*.example.com`');
  return { ...parsed, isSuffix };
}

/** An allow-list. @param {string[]} rules @param {string} [path] @returns {Rule[]} */
export function parseRules(rules, path = 'allow') {
  return rules.map((rule, index) => {
    try {
      return parseRule(rule);
    } catch (/** @type {any} */ error) {
      throw new ConfigurationError({ kind: 'config', path: `${path}[${index}]`, message: error.message });
    }
  });
}

/**
 * Whether one of these rules covers a host, where `usual` is the port of what says none.
 *
 * @param {Rule[]} rules
 * @param {{ host: string, port?: number }} asked
 */
export function isCovered(rules, asked, usual = USUAL_PORT.HTTPS) {
  return rules.some(({ host, port = usual, isSuffix }) =>
    port === (asked.port ?? usual) && (isSuffix ? asked.host.endsWith(`.${host}`) : asked.host === host));
}

/** Those of the authorities which a configuration needs that are not allowed. @param {string[]} authorities @param {Rule[]} rules */
export const uncovered = (authorities, rules) =>
  authorities.filter((authority) => {
    const asked = parseAuthority(authority);
    return !asked || !isCovered(rules, asked);
  });

/**
 * Whether a request may go out by this scheme: `https`, or `http` to this machine, where nobody reads on the wire. The usual port
 * of it, or nothing.
 *
 * @param {string} scheme the tag of WASI's
 * @param {string} host as `parseAuthority` has it
 */
export function privatePort(scheme, host) {
  if (scheme === 'HTTPS') return USUAL_PORT.HTTPS;
  return scheme === 'HTTP' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(host) ? USUAL_PORT.HTTP : undefined;
}

/**
 * Whether a path leaves a request where its authority says: whoever writes both as a URL and reads that again (as preview3-shim does) may
 * find another host in it, by `@evil.example`, `.evil.example` or `:8443`.
 *
 * @param {string} authority
 * @param {string} path
 */
export function staysAt(authority, path) {
  const [alone, whole] = [`https://${authority}/`, `https://${authority}${path}`];
  if (!path.startsWith('/') || !URL.canParse(alone) || !URL.canParse(whole)) return false;
  const { host, username, password } = new URL(whole);
  return host === new URL(alone).host && username === '' && password === '';
}

/**
 * Whether a rule, `host`, `host:port` or `*.domain`, covers an authority.
 *
 * @param {string} rule
 * @param {string} authority
 */
export const covers = (rule, authority) =>
  rule.startsWith('*.')
    ? authority.toLowerCase().endsWith(rule.slice(1).toLowerCase())
    : authority.toLowerCase() === rule.toLowerCase();

/**
 * Whether a request may go out by this scheme: `https`, or `http` to this machine, where nobody reads on the wire.
 *
 * @param {string} scheme the tag of WASI's
 * @param {string} authority
 */
export function isPrivate(scheme, authority) {
  if (scheme === 'HTTPS') return true;
  return scheme === 'HTTP' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i.test(authority);
}

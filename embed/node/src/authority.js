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

// Decides on each request of one source.

import { isNever } from './address.js';
import { isCovered, parseAuthority, parseRules, privatePort, staysAt } from './authority.js';

/** @import { Rule } from './authority.js' */

export class Gate {
  /** @type {Rule[] | undefined} */
  #allowed;
  /** What the configuration needs, each host in full. @type {Rule[]} */
  #granted = [];

  /** @param {string[] | undefined} allow */
  constructor(allow) {
    this.#allowed = allow && parseRules(allow);
  }

  /** Replaces what is granted. What is no authority covers nothing. @param {string[]} authorities */
  grant(authorities) {
    this.#granted = authorities.flatMap((authority) => {
      const parsed = parseAuthority(authority);
      return parsed ? [{ ...parsed, isSuffix: false }] : [];
    });
  }

  /**
   * @param {string} scheme the tag of WASI's
   * @param {string | undefined} authority
   * @param {string | undefined} path none: the root
   */
  admits(scheme, authority = '', path = '/') {
    const asked = parseAuthority(authority);
    if (!asked || isNever(asked.host) || !staysAt(authority, path)) return false;
    const usual = privatePort(scheme, asked.host);
    return usual !== undefined && isCovered(this.#granted, asked, usual) && (!this.#allowed || isCovered(this.#allowed, asked, usual));
  }
}

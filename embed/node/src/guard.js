// Loaded first in the threads of a component (`--import`), also in the one that the shim makes for its requests: names are
// resolved here, and what a name may not lead to is taken away before the connection is made. It goes to what is left, so
// that the address which was looked at is the one that is connected to.

import dns from 'node:dns';
import { GUARDED, mayResolveTo } from './address.js';

/** @type {any} */
const { lookup } = dns;
// As `net` calls it: always with options.
dns.lookup = /** @type {any} */ ((/** @type {string} */ name, /** @type {any} */ options, /** @type {any} */ done) => {
  lookup(name, { ...options, all: true }, (/** @type {Error | null} */ error, /** @type {dns.LookupAddress[]} */ found) => {
    if (error) return done(error);
    const allowed = found.filter(({ address }) => mayResolveTo(name, address));
    // Not an `Error`, of which nothing but its message would reach the component's thread: the shim hands on what has a tag.
    if (!allowed.length) return done({ tag: 'destination-IP-prohibited' });
    if (options.all) return done(null, allowed);
    return done(null, allowed[0].address, allowed[0].family);
  });
});
/** @type {any} */ (globalThis)[GUARDED] = true;

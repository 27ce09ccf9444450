// Which addresses a request may go to, as source-host has it (host-harness/src/network/egress.rs says what each is for). Whoever
// controls the names of an allowed domain may let one lead to this machine, to the network behind it or to the cloud's metadata
// service, at once or later (DNS rebinding). So it is the address that counts, when the connection is made: see `guard.js`.

import { BlockList, isIP } from 'node:net';

/** Marks a thread in which `guard.js` was loaded: in no other a component is run. */
export const GUARDED = Symbol.for('pipeline-source.guarded');

/** Refused even where they are listed: nothing that serves logs lives there, and metadata services do. */
const NEVER = list([
  '0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32', '100.100.100.200/32', '168.63.129.16/32', '::/128',
  'fe80::/10', 'ff00::/8', 'fd00:ec2::/32', 'fd20:ce::/32',
]);
/** What a name does not lead to. */
const INNER = list([
  '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24',
  '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4',
]);
const LOOPBACK = list(['127.0.0.0/8', '::1/128']);
/** Of IPv6, global unicast without what is for protocols, documentation and 6to4, and NAT64 of what is public. */
const PUBLIC_V6 = list(['2000::/3', '64:ff9b::/96']);
const INNER_V6 = list(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

/** Each network of IPv4 by its IPv6 names as well: as it is (`::ffff:0:0/96`, which `check` does) and by way of NAT64. @param {string[]} networks */
function list(networks) {
  const made = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split('/');
    if (address.includes(':')) {
      made.addSubnet(address, Number(bits), 'ipv6');
    } else {
      made.addSubnet(address, Number(bits), 'ipv4');
      made.addSubnet(`64:ff9b::${address}`, 96 + Number(bits), 'ipv6');
    }
  }
  return made;
}

/** @param {BlockList} networks @param {string} address */
const isIn = (networks, address) => networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/**
 * Whether the host of a request may be asked for at all, whoever allows it: a name, or an address that is not in `NEVER`. An
 * address in disguise (`0x7f.1`, `2130706433`) is neither; a URL shows it as what it is.
 *
 * @param {string} authority
 */
export function isHost(authority) {
  const host = authority.replace(/:\d{1,5}$/, '').toLowerCase();
  const url = `https://${host}`;
  if (!URL.canParse(url) || new URL(url).host !== host) return false;
  const address = host.replace(/^\[|\]$/g, '');
  return !isIP(address) || !isIn(NEVER, address);
}

/** Whether a connection for this name may go to this address that it resolved to. @param {string} name @param {string} address */
export function mayResolveTo(name, address) {
  const given = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '');
  if (name.toLowerCase() === 'localhost') return isIn(LOOPBACK, given);
  if (isIn(NEVER, given) || isIn(INNER, given)) return false;
  return isIP(given) === 4 || (isIn(PUBLIC_V6, given) && !isIn(INNER_V6, given));
}

// Which addresses a request may go to, as source-host has it (host-harness/src/network/egress.rs says what each is for). Whoever
// controls the names of an allowed domain may let one lead to this machine, to the network behind it or to the cloud's metadata
// service, at once or later (DNS rebinding). So it is the address that counts, when the connection is made: see `guard.js`.

import { BlockList, isIP } from 'node:net';

/** Marks a thread in which `guard.js` was loaded: in no other a component is run. */
export const GUARDED = Symbol.for('pipeline-source.guarded');

/** Refused even where they are listed: nothing that serves logs lives there, and metadata services do. */
const NEVER = list(
  wrapped([
    '0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32', '100.100.100.200/32', '168.63.129.16/32', '::/128',
    'fe80::/10', 'ff00::/8', 'fd00:ec2::/32', 'fd20:ce::/32', 'fd00:c1::a9fe:a9fe/128',
  ]),
  // NAT64 of a network's own. Where in it the IPv4 address stands, nobody else knows.
  ['64:ff9b:1::/48'],
);
/** What a name does not lead to. */
const INNER = list(wrapped([
  '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24',
  '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4',
]));
const LOOPBACK = list(['127.0.0.0/8', '::1/128']);
/** Of IPv6, global unicast without what is for protocols, documentation and 6to4, and NAT64 of what is public. */
const PUBLIC_V6 = list(['2000::/3', '64:ff9b::/96']);
const INNER_V6 = list(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

/**
 * Each network of IPv4 by the names that it has in IPv6 as well: by way of NAT64, as it was once compatible, and of 6to4. (As it is mapped,
 * `::ffff:0:0/96`, `check` knows it.)
 *
 * @param {string[]} networks
 */
function wrapped(networks) {
  return networks.flatMap((network) => {
    if (network.includes(':')) return [network];
    const [address, bits] = network.split('/');
    const [high, low] = [0, 2].map((at) => {
      const [first, second] = address.split('.').slice(at).map(Number);
      return (first * 256 + second).toString(16);
    });
    return [network, `64:ff9b::${address}/${96 + Number(bits)}`, `::${address}/${96 + Number(bits)}`, `2002:${high}:${low}::/${16 + Number(bits)}`];
  });
}

/** @param {string[][]} networks */
function list(...networks) {
  const made = new BlockList();
  for (const network of networks.flat()) {
    const [address, bits] = network.split('/');
    made.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return made;
}

/** @param {BlockList} networks @param {string} address */
const isIn = (networks, address) => networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Whether a host, as `parseAuthority` has it, is an address that no request goes to, whoever allows it. @param {string} host */
export function isNever(host) {
  const address = host.replace(/^\[|\]$/g, '');
  // Which would be 0.0.0.1, if it stood for one of IPv4.
  return isIP(address) !== 0 && address !== '::1' && isIn(NEVER, address);
}

/** Whether a connection for this name may go to this address that it resolved to. @param {string} name @param {string} address */
export function mayResolveTo(name, address) {
  const given = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '');
  if (name.toLowerCase().replace(/\.$/, '') === 'localhost') return isIn(LOOPBACK, given);
  if (isIn(NEVER, given) || isIn(INNER, given)) return false;
  return isIP(given) === 4 || (isIn(PUBLIC_V6, given) && !isIn(INNER_V6, given));
}

// What a component has to be before it is transpiled, let alone run: its file whole, and its imports those that a source gets.

import { ComponentError } from './errors.js';
import { number } from './memory.js';

/** What a source may import, at any patch version of 0.2. */
const OFFERED = new Set([
  'wasi:clocks/monotonic-clock', 'wasi:clocks/wall-clock', 'wasi:http/outgoing-handler', 'wasi:http/types', 'wasi:io/error',
  'wasi:io/poll', 'wasi:io/streams',
]);
export const LARGEST_COMPONENT = 32 << 20;
const IMPORTS = 10;
const INSTANCE = 5;

/** @param {string} message */
const refuse = (message) => new ComponentError({ kind: 'config', message });

/** @param {Uint8Array} bytes @param {string} shown */
export function admitted(bytes, shown) {
  if (bytes.length > LARGEST_COMPONENT) throw refuse(`${shown}: it is larger than the ${LARGEST_COMPONENT >> 20} MiB that a component may have`);
  const head = Buffer.from(bytes.subarray(0, 8)).toString('hex');
  if (head === '0061736d01000000') {
    throw refuse(`${shown}: it is a core module of WebAssembly, not a component; \`wasm-tools component new\` makes one of it`);
  }
  if (head !== '0061736d0d000100') throw refuse(`${shown}: it is not a WebAssembly component`);
  const more = imports(bytes, shown).filter((name) => !isOffered(name));
  if (more.length) throw refuse(`${shown}: the component wants ${more.join(', ')}, and a source gets HTTP and clocks of WASI 0.2 alone`);
}

/** @param {string} name */
function isOffered(name) {
  const [, interface_, patch] = /^([^@]+)@0\.2\.(\d+)$/.exec(name) ?? [];
  return patch !== undefined && OFFERED.has(interface_);
}

/** The names of what it imports: interfaces, or what it calls otherwise. @param {Uint8Array} bytes @param {string} shown */
function imports(bytes, shown) {
  const found = [];
  try {
    for (let at = 8; at < bytes.length; ) {
      const section = bytes[at];
      const [size, start] = number(bytes, at + 1);
      at = start + size;
      if (at > bytes.length) throw new RangeError('cut off');
      if (section === IMPORTS) found.push(...named(bytes.subarray(start, at)));
    }
  } catch {
    throw refuse(`${shown}: the component is cut off: its file is not whole. Copy it again`);
  }
  return found;
}

/** What stands in a section of imports. Behind what is no interface nothing is read: it is refused. @param {Uint8Array} section */
function named(section) {
  const names = [];
  let [left, at] = number(section, 0);
  for (; left > 0; left -= 1) {
    const [size, start] = number(section, at + 1);
    const end = start + size;
    if (end > section.length) throw new RangeError('cut off');
    const name = Buffer.from(section.subarray(start, end)).toString().replace(/[^\x21-\x7e]/g, '\uFFFD');
    if (section[at] > 1 || section[end] !== INSTANCE) return [...names, `${name} (no interface)`];
    names.push(name);
    [, at] = number(section, end + 1);
  }
  return names;
}

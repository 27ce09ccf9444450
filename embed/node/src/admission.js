// What a component has to be before it is transpiled, let alone run: its file whole, and its imports those that a source gets.

import { ASYNC_CONTRACT, CONTRACT } from './contract.js';
import { ComponentError } from './errors.js';
import { number } from './memory.js';

/** What a source may import, at any patch version. @type {Record<string, string[]>} */
const OFFERED = {
  [CONTRACT]: [
    'wasi:clocks/monotonic-clock@0.2', 'wasi:clocks/wall-clock@0.2', 'wasi:http/outgoing-handler@0.2', 'wasi:http/types@0.2',
    'wasi:io/error@0.2', 'wasi:io/poll@0.2', 'wasi:io/streams@0.2',
  ],
  [ASYNC_CONTRACT]: [
    'pipeline:source/source@0.1', // types alone
    'wasi:clocks/monotonic-clock@0.3', 'wasi:clocks/system-clock@0.3', 'wasi:clocks/types@0.3', 'wasi:http/client@0.3',
    'wasi:http/types@0.3',
  ],
};
export const LARGEST_COMPONENT = 32 << 20;
const IMPORTS = 10;
const INSTANCE = 5;

/** @param {string} message */
const refuse = (message) => new ComponentError({ kind: 'config', message });

/** The contract that it has to keep. @param {Uint8Array} bytes @param {string} shown */
export function admitted(bytes, shown) {
  if (bytes.length > LARGEST_COMPONENT) throw refuse(`${shown}: it is larger than the ${LARGEST_COMPONENT >> 20} MiB that a component may have`);
  const head = Buffer.from(bytes.subarray(0, 8)).toString('hex');
  if (head === '0061736d01000000') {
    throw refuse(`${shown}: it is a core module of WebAssembly, not a component; \`wasm-tools component new\` makes one of it`);
  }
  if (head !== '0061736d0d000100') throw refuse(`${shown}: it is not a WebAssembly component`);
  const wanted = imports(bytes, shown);
  const contract = wanted.some((name) => name.startsWith('wasi:http/client@')) ? ASYNC_CONTRACT : CONTRACT;
  const more = wanted.filter((name) => !OFFERED[contract].includes(name.replace(/\.\d+$/, '')));
  const version = contract === CONTRACT ? '0.2' : '0.3';
  if (more.length) throw refuse(`${shown}: the component wants ${more.join(', ')}, and a source gets HTTP and clocks of WASI ${version} alone`);
  return contract;
}

/** Whether a component for WASI 0.3 is run, and can be. @param {string} shown @param {boolean} wasi03 */
export function runs03(shown, wasi03) {
  if (!wasi03) throw refuse(`${shown}: it is a component for WASI 0.3, which is not run unless this is told to (\`wasi03\`; \`wasi_0_3\` in TOML)`);
  if (!('Suspending' in WebAssembly)) {
    throw refuse(`${shown}: it is a component for WASI 0.3, which needs JavaScript Promise Integration: Node 24 has it, and this is ${process.version}`);
  }
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

// Bounds the linear memory of a core module by writing a maximum into it. V8's own switch is one for the whole process.

export const PAGE = 65_536;
const MEMORIES = 5;

/**
 * The module with at most `pages` pages, and how many memories it defines.
 *
 * @param {Uint8Array} module
 * @param {number} pages
 */
export function bounded(module, pages) {
  /** @type {Uint8Array[]} */
  const parts = [module.subarray(0, 8)];
  let memories = 0;
  for (let at = 8; at < module.length; ) {
    const [size, start] = number(module, at + 1);
    let section = module.subarray(at, start + size);
    if (module[at] === MEMORIES) {
      let from;
      [memories, from] = number(module, start);
      section = limited(module, from, memories, pages);
    }
    parts.push(section);
    at = start + size;
  }
  return { module: Buffer.concat(parts), memories };
}

/** @param {Uint8Array} module @param {number} at @param {number} count @param {number} pages */
function limited(module, at, count, pages) {
  const body = encoded(count);
  for (let nth = 0; nth < count; nth += 1) {
    const flags = module[at];
    // Shared and 64-bit memories have flags of their own.
    if (flags > 1) throw new Error('it wants a kind of memory that a source does not get');
    let [least, next] = number(module, at + 1);
    let most = pages;
    if (flags === 1) {
      [most, next] = number(module, next);
      most = Math.min(most, pages);
    }
    if (least > pages) throw new Error(`it wants ${(least * PAGE) / 2 ** 20} MiB of memory at its start, more than its limit`);
    body.push(1, ...encoded(least), ...encoded(most));
    at = next;
  }
  return Uint8Array.from([MEMORIES, ...encoded(body.length), ...body]);
}

/** A number in LEB128, and where it ends. @param {Uint8Array} bytes @param {number} at @returns {[number, number]} */
export function number(bytes, at) {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at];
    if (byte === undefined) throw new RangeError('cut off');
    at += 1;
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}

/** @param {number} value */
function encoded(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** What is wrong with a version of Node, if anything. @param {string} version */
export function versionProblem(version) {
  return parseInt(version, 10) < 20 ? `Node ${version} is too old for pipeline-source: it needs Node 20 or newer` : undefined;
}

/** (module (func (result v128) (i8x16.popcnt (i8x16.splat (i32.const 0))))) */
const VECTORS = Uint8Array.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 10, 1, 8, 0, 0x41, 0, 0xfd, 15, 0xfd, 0x62, 11,
]);

/** Whether this process lacks the vectors (SIMD) that a source needs. */
export function vectorProblem() {
  if (WebAssembly.validate(VECTORS)) return undefined;
  return 'this Node has no vectors (SIMD) for WebAssembly, which sources need: leave out the flag that switches them off, or take a processor that has SSE4.1';
}

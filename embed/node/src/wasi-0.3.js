// What a component for WASI 0.3 gets: clocks, and HTTP behind the same gate.

const NANOSECONDS = 1_000_000n;

/**
 * @param {import('./gate.js').Gate} gate
 * @param {() => number} ahead how far the component's clocks are ahead of the system's, in milliseconds
 */
export async function imports03(gate, ahead) {
  /** @type {any} */
  const http = await import('@bytecodealliance/preview3-shim/http').catch((error) => {
    throw new Error(`what it needs of WASI 0.3 is an optional dependency, @bytecodealliance/preview3-shim, which is not there: ${error.code}`);
  });
  const now = () => process.hrtime.bigint() + BigInt(Math.floor(ahead())) * NANOSECONDS;
  /** @param {bigint} nanoseconds @returns {Promise<void>} */
  const wait = (nanoseconds) =>
    new Promise((resolve) => {
      const milliseconds = Number((nanoseconds + NANOSECONDS - 1n) / NANOSECONDS);
      setTimeout(resolve, Math.min(Math.max(milliseconds, 0), 2 ** 31 - 1));
    });
  return {
    'wasi:clocks/monotonic-clock': {
      now,
      getResolution: () => 1n,
      waitFor: wait,
      waitUntil: (/** @type {bigint} */ mark) => wait(mark - now()),
    },
    'wasi:clocks/system-clock': {
      now() {
        const milliseconds = Date.now() + ahead();
        return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanoseconds: Math.floor(milliseconds % 1000) * 1e6 };
      },
      getResolution: () => NANOSECONDS,
    },
    'wasi:clocks/types': {},
    'wasi:http/types': http.types,
    'wasi:http/client': {
      /** @param {any} request */
      async send(request) {
        // Without a scheme, the shim would take http.
        if (!request.getScheme()) request.setScheme({ tag: 'HTTPS' });
        if (!gate.admits(request.getScheme().tag, request.getAuthority(), request.getPathWithQuery())) throw new http.HttpError('HTTP-request-denied');
        return http.client.send(request);
      },
    },
    'pipeline:source/source': {},
  };
}

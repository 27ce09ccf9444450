import { Worker } from 'node:worker_threads';
import { ClosedError, ComponentError, ConfigurationError, CrashError, PollError } from './errors.js';

/** Of the JavaScript heap of a component's thread: a batch and what becomes of it. */
const HEAP = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 };
/** Loaded before anything else in its thread, and in those that this makes: it looks at where names lead. */
const GUARD = { NODE_OPTIONS: `--import ${JSON.stringify(new URL('guard.js', import.meta.url).href)}` };
const LOADING_MS = 60_000;

/** An instance of a component in a thread of its own. After a `CrashError` it is gone. */
export class Instance {
  #worker;
  /** @type {{ resolve(answer: any): void, reject(error: Error): void } | undefined} */
  #caller;
  /** Why it cannot be called any more. @type {Error | undefined} */
  #end;

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.on('message', (answer) => this.#settle((caller) => caller.resolve(answer)));
    worker.on('error', (/** @type {any} */ error) => this.#lost(error));
    worker.on('exit', () => this.#lost(undefined));
  }

  /**
   * @param {string} module
   * @param {{ limits: Record<string, number>, allow?: string[], isAsync: boolean }} options
   */
  static async load(module, { limits, allow, isAsync }) {
    const instance = new Instance(
      new Worker(new URL('worker.js', import.meta.url), {
        workerData: { module, limits, allow, isAsync },
        env: GUARD,
        resourceLimits: HEAP,
      }),
    );
    const { unloadable } = await instance.#answer('load', LOADING_MS);
    if (unloadable === undefined) return instance;
    instance.stop();
    throw new ComponentError({ kind: 'config', message: `cannot load the component: ${unloadable}` });
  }

  /**
   * @param {string} call
   * @param {any[]} args
   * @param {number} limitMs
   * @param {number} [now]
   */
  async call(call, args, limitMs, now) {
    this.#worker.postMessage({ call, args, now });
    const { value, failure, crash } = await this.#answer(call, limitMs);
    if (crash) {
      this.stop();
      throw new CrashError(crash.reason, crash.message);
    }
    if (!failure) return value;
    const { problems, state } = failure;
    const first = problems[0] ?? { kind: 'config', message: 'the configuration is refused' };
    const Kind = call === 'poll' ? PollError : ConfigurationError;
    throw Object.assign(new Kind(first, { problems }), { state });
  }

  /** Ends it, in the middle of a call too. */
  stop() {
    this.#over(new ClosedError({ kind: 'internal', message: 'the source was closed' }));
    return this.#worker.terminate();
  }

  /** @param {string} call @param {number} limitMs @returns {Promise<any>} */
  #answer(call, limitMs) {
    if (this.#end) return Promise.reject(this.#end);
    // A thread that waits for a call does not keep the process alive.
    this.#worker.ref();
    const { promise, ...caller } = withResolvers();
    const timer = setTimeout(() => {
      const message = `a call of \`${call}\` took longer than its limit of ${limitMs / 1000} s and was stopped`;
      this.#over(new CrashError('time', message));
      this.stop();
    }, limitMs);
    this.#caller = caller;
    return promise.finally(() => {
      clearTimeout(timer);
      if (!this.#end) this.#worker.unref();
    });
  }

  /** @param {(caller: { resolve(answer: any): void, reject(error: Error): void }) => void} how */
  #settle(how) {
    const caller = this.#caller;
    this.#caller = undefined;
    if (caller) how(caller);
  }

  /** @param {Error} why */
  #over(why) {
    this.#end ??= why;
    this.#settle((caller) => caller.reject(why));
  }

  /** @param {any} error */
  #lost(error) {
    if (error?.code === 'ERR_MODULE_NOT_FOUND') {
      this.#over(new ComponentError({ kind: 'config', message: NOT_INSTALLED }, { cause: error }));
    } else if (error?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
      this.#over(new CrashError('memory', "the component's thread is at the limit of its memory", { cause: error }));
    } else {
      this.#over(new CrashError('trap', "the component's thread has ended", { cause: error }));
    }
  }
}

export const NOT_INSTALLED =
  'the packages that pipeline-source needs are not installed: run `npm ci` in its folder, or install it with `npm install --install-links`';

function withResolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return /** @type {{ promise: Promise<any>, resolve(answer: any): void, reject(error: Error): void }} */ (made);
}

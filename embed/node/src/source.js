// A source that is polled in a loop: what it has come to, what is acknowledged, and what follows a failure.

import { setTimeout as sleep } from 'node:timers/promises';
import { uncovered } from './authority.js';
import { ClosedError, ConfigurationError, CrashError, PollError, SourceError, StateError } from './errors.js';

/** @import * as api from '../index.js' */
/** @import { Instance } from './instance.js' */
/** @typedef {Omit<api.Options, 'limits' | 'state'> & { limits: Required<api.Limits>, rules?: import('./authority.js').Rule[], store?: api.StateStore }} Settings */

const RETRY_AFTER_MS = 30_000;
const SHORTEST_RETRY_MS = 100;
const FIRST_BACK_OFF_MS = 1_000;
const LONGEST_BACK_OFF_MS = 60_000;
/** Node makes 1 ms of a timer that is longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Polls in a row that promise more at once and bring nothing, after which each costs a wait. */
const EMPTY_PROMISES = 10;
/** A source that wants to be polled again sooner than that promises more at once. */
const SOON_MS = 1_000;
/** For how long a source goes on at full speed that reads and has no events: of some files all may be left out. */
const FRUITLESS_MS = 60_000;
/** The wait after each such poll from then on. */
const FRUITLESS_WAIT_MS = 100;

const CLOSED = new ClosedError({ kind: 'internal', message: 'the source is closed' });

/** @param {number} times how often in a row */
const backOff = (times) => Math.min(FIRST_BACK_OFF_MS * 2 ** (times - 1), LONGEST_BACK_OFF_MS);

/** @param {api.Problem[]} problems */
const passes = (problems) => problems.some(({ kind }) => kind === 'transient' || kind === 'rate-limited');

/** @typedef {Pick<api.Batch, 'lines' | 'state' | 'nextPollMs' | 'problems' | 'stats'>} Content */

/** @implements {api.Source} */
export class Source {
  #load;
  #config;
  #settings;
  /** @type {Instance | undefined} */
  #instance;
  /** @type {{ fromMs: number, untilMs: number } | undefined} */
  #range;
  /** @type {{ authorities: string[], warnings: api.Problem[] } | undefined} */
  #grants;
  /** Calls of the component wait for each other, and so do changes of the stored state; a state can be stored during a poll. */
  #calls = new Queue();
  #saves = new Queue();
  #stop = new AbortController();
  /** The last acknowledged state. @type {string | undefined} */
  #state;
  /** What was handed out and is not acknowledged: it comes again before anything else. @type {Batch | undefined} */
  #pending;
  /** When to poll again, and when something moved last. */
  #due;
  #progress;
  /** Since when no batch has had events, and no long wait was asked for. @type {number | undefined} */
  #fruitless;
  /** In a row: crashes, empty promises, and how often the batch at hand came again. */
  #crashes = 0;
  #promises = 0;
  #repeated = 0;

  /** @param {() => Promise<Instance>} load @param {string} config @param {Settings} settings */
  constructor(load, config, settings) {
    this.#load = load;
    this.#config = config;
    this.#settings = settings;
    this.#due = this.#progress = this.#now();
    const { signal } = settings;
    if (signal?.aborted) this.#stop.abort();
    signal?.addEventListener('abort', () => this.#stop.abort(), { once: true, signal: this.#stop.signal });
  }

  /** @param {string | undefined} digest */
  async begin(digest) {
    await this.#calls.run(() => this.#configured());
    const { store } = this.#settings;
    if (store?.bind) store.bind(await this.describe(), digest);
    const state = await this.#saves.run(async () => store?.load());
    const { stateBytes } = this.#settings.limits;
    if (state !== undefined && Buffer.byteLength(state) > stateBytes) {
      throw new StateError({ kind: 'state', message: `the state is larger than its limit of ${stateBytes} bytes, so no source wrote it` });
    }
    this.#state = state;
  }

  get state() {
    return this.#state;
  }

  get authorities() {
    return this.#grants?.authorities ?? [];
  }

  get warnings() {
    return this.#grants?.warnings ?? [];
  }

  describe() {
    return this.#call('describe');
  }

  check() {
    return this.#call('check');
  }

  /** @param {{ fromMs: number, untilMs: number }} range */
  async confine(range) {
    await this.#call('confine', range);
    this.#range = range;
  }

  /** @param {string} [state] */
  async isComplete(state = this.#state) {
    return state === undefined ? false : this.#call('isComplete', state);
  }

  async close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stop.abort();
    await this.#instance?.stop();
    await Promise.all([this.#calls.close(CLOSED), this.#saves.close(CLOSED)]);
    await this.#instance?.stop();
    await this.#settings.store?.close?.();
  }
  #isClosed = false;

  [Symbol.asyncDispose]() {
    return this.close();
  }

  /** @returns {AsyncGenerator<api.Batch, undefined, undefined>} */
  async *[Symbol.asyncIterator]() {
    const stopped = this.#stop.signal;
    while (!stopped.aborted) {
      if (this.#pending) {
        this.#repeated += 1;
        await this.#wait(backOff(this.#repeated));
      } else {
        await this.#wait(Math.max(0, this.#due - this.#now()));
      }
      if (stopped.aborted) return;
      const batch = (this.#pending ??= await this.#poll());
      if (!batch) continue;
      yield batch;
      // It may be about to be acknowledged.
      await this.#saves.idle();
      if (this.#pending !== batch && this.#endsAfter(batch)) return;
    }
  }

  /** A batch, or nothing where it failed in a way that passes. @returns {Promise<Batch | undefined>} */
  async #poll() {
    try {
      /** @type {Content} */
      const content = await this.#call('poll', this.#state);
      this.#crashes = this.#repeated = 0;
      this.#due = this.#now() + content.nextPollMs;
      /** @type {Batch} */
      const batch = new Batch(content, () => this.#saves.run(() => this.#acknowledge(batch)));
      return batch;
    } catch (/** @type {any} */ error) {
      if (this.#isClosed) return undefined;
      if (error instanceof PollError) await this.#failed(error);
      else if (error instanceof SourceError) this.#crashed(error);
      else throw error;
    }
  }

  /** @param {SourceError} error */
  #crashed(error) {
    const { maxCrashes = 5, onProblem } = this.#settings;
    this.#crashes += 1;
    const wait = backOff(this.#crashes);
    // Also for who catches what is thrown and goes on.
    this.#due = this.#now() + wait;
    if (this.#crashes % (maxCrashes + 1) === 0) throw error;
    onProblem?.(error.problems[0], wait);
  }

  /** @param {PollError & { state?: string }} error */
  async #failed(error) {
    const { limits, onProblem } = this.#settings;
    this.#crashes = 0;
    const wait = Math.max(SHORTEST_RETRY_MS, Math.min(error.retryAfterMs || RETRY_AFTER_MS, limits.longestWaitMs));
    this.#due = this.#now() + wait;
    // The same place with a back-off in it.
    const { state } = error;
    if (state !== undefined && error.kind !== 'state') await this.#saves.run(() => this.#save(state));
    if (this.#isLate() || !passes(error.problems)) throw error;
    onProblem?.(error.problems[0], wait);
  }

  /** @param {Batch} batch */
  async #acknowledge(batch) {
    if (batch !== this.#pending) return;
    const hasChanged = batch.state !== this.#state;
    await this.#save(batch.state);
    this.#pending = undefined;
    this.#due = Math.max(this.#due, this.#now() + this.#leastWait(batch, hasChanged));
  }

  /** How long it is at least until the next poll, whatever the source wants itself. @param {Batch} batch @param {boolean} hasChanged */
  #leastWait({ lines, nextPollMs, stats }, hasChanged) {
    const now = this.#now();
    // What was read is what the source says; that it goes on from somewhere else is seen.
    const hasRead = stats.bytesRead > 0 || stats.rowsRead > 0 || stats.filesCompleted > 0;
    if (lines.length || (hasRead && hasChanged)) [this.#progress, this.#promises] = [now, 0];
    else if (nextPollMs < SOON_MS) this.#promises += 1;
    if (lines.length || nextPollMs >= FRUITLESS_MS) this.#fruitless = undefined;
    else this.#fruitless ??= now;
    if (lines.length || nextPollMs >= SOON_MS) return 0;
    if (this.#promises > EMPTY_PROMISES) return FIRST_BACK_OFF_MS;
    return now - (this.#fruitless ?? now) >= FRUITLESS_MS ? FRUITLESS_WAIT_MS : 0;
  }

  /** With `untilCaughtUp`: whether nothing is left to wait for. @param {Batch} batch */
  #endsAfter({ problems, nextPollMs, stats }) {
    if (!this.#settings.untilCaughtUp) return false;
    const blocking = problems.filter(({ kind }) => kind !== 'data'); // those are reported, and stepped around
    const wantsPause = nextPollMs > 0;
    if (wantsPause && !blocking.length && !stats.backlogFiles) return true;
    const isLate = this.#isLate();
    if (blocking.length && (isLate || (wantsPause && !passes(blocking)))) throw new PollError(blocking[0], { problems: blocking });
    if (isLate) {
      const what = wantsPause ? `${stats.backlogFiles} files are not read yet` : 'the source promises more and brings nothing';
      throw new PollError({ kind: 'transient', message: `no progress: ${what}`, retryAfterMs: this.#due - this.#now() });
    }
    return false;
  }

  /** Whether the patience of `untilCaughtUp` ends before the next poll. */
  #isLate() {
    const { untilCaughtUp, giveUpAfterMs = 300_000 } = this.#settings;
    return untilCaughtUp === true && Math.max(this.#due, this.#now()) - this.#progress > giveUpAfterMs;
  }

  /** @param {string} state */
  async #save(state) {
    if (state !== this.#state) await this.#settings.store?.save(state);
    this.#state = state;
  }

  #now() {
    return this.#settings.clock?.() ?? performance.now();
  }

  /** Even 0 ms let timers and signals in. @param {number} ms */
  async #wait(ms) {
    const { wait } = this.#settings;
    const { signal } = this.#stop;
    if (wait) await wait(ms, signal);
    else await sleep(Math.min(ms, LONGEST_TIMER_MS), undefined, { signal }).catch(() => {});
  }

  /** @param {string} call @param {any[]} args @returns {Promise<any>} */
  #call(call, ...args) {
    return this.#calls.run(async () => {
      const instance = this.#instance ?? (await this.#configured());
      return this.#ask(instance, call, args);
    });
  }

  /** An instance that goes on where the last one was. */
  async #configured() {
    const instance = await this.#load();
    try {
      this.#instance = instance;
      const grants = await this.#ask(instance, 'configure', [this.#config]);
      this.#covered(grants.authorities);
      this.#grants = grants;
      if (this.#range) await this.#ask(instance, 'confine', [this.#range]);
    } catch (error) {
      this.#instance = undefined;
      instance.stop();
      throw error;
    }
    return instance;
  }

  /** Refuses a source that could not collect. @param {string[]} authorities */
  #covered(authorities) {
    const { rules } = this.#settings;
    const denied = rules ? uncovered(authorities, rules) : [];
    if (!denied.length) return;
    const message = `does not allow what the source has to contact: ${denied.join(', ')}`;
    throw new ConfigurationError({ kind: 'config', path: 'allow', message, hint: 'if it may, add it' });
  }

  /** @param {Instance} instance @param {string} call @param {any[]} args */
  async #ask(instance, call, args) {
    try {
      return await instance.call(call, args, this.#settings.limits.callTimeMs, this.#settings.clock?.());
    } catch (error) {
      if (error instanceof CrashError) this.#instance = undefined;
      throw error;
    }
  }
}

/** Work that is done one after the other. */
class Queue {
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** @type {Error | undefined} */
  #closed;

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  run(work) {
    const turn = this.#last.then(() => {
      if (this.#closed) throw this.#closed;
      return work();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when the work at hand is done. */
  idle() {
    return this.#last;
  }

  /** Likewise, and nothing is done any more. @param {Error} why */
  close(why) {
    this.#closed = why;
    return this.#last;
  }
}

/** @implements {api.Batch} */
class Batch {
  /** @type {api.Event[] | undefined} */
  #events;

  /** @param {Content} batch @param {() => Promise<void>} ack */
  constructor({ lines, state, nextPollMs, problems, stats }, ack) {
    this.lines = lines;
    this.state = state;
    this.nextPollMs = nextPollMs;
    this.problems = problems;
    this.stats = stats;
    this.ack = ack;
  }

  get events() {
    return (this.#events ??= this.lines.map((line) => JSON.parse(line)));
  }
}

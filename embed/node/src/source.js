// A source that is polled in a loop: what it has come to, what is acknowledged, and what follows a failure.

import { setTimeout as sleep } from 'node:timers/promises';
import { ClosedError, CrashError, PollError } from './errors.js';

/** @import * as api from '../index.js' */
/** @import { Instance } from './instance.js' */
/** @typedef {Omit<api.Options, 'limits' | 'state'> & { limits: Required<api.Limits>, store?: api.StateStore }} Settings */

const RETRY_AFTER_MS = 30_000;
const FIRST_BACK_OFF_MS = 1_000;
const LONGEST_BACK_OFF_MS = 60_000;
/** Node makes 1 ms of a timer that is longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Polls in a row that promise more at once and bring nothing, after which each costs a wait. */
const EMPTY_PROMISES = 10;

/** @param {string | undefined} state @param {number} number */
const acknowledged = (state, number) => ({ state, number });

const CLOSED = new ClosedError({ kind: 'internal', message: 'the source is closed' });

/** @param {Iterable<api.Problem>} problems */
const kinds = (problems) => new Set([...problems].map(({ kind }) => kind));

/** @param {Set<api.Kind>} found */
const passes = (found) => found.has('transient') || found.has('rate-limited');

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
  /** The last acknowledged state, and the number of its batch. */
  #acked = acknowledged(undefined, 0);
  /** Of batches that were handed out. */
  #number = 0;
  /** Batches of an earlier one come again, so that acknowledging them changes nothing. */
  #generation = 0;

  /** @param {() => Promise<Instance>} load @param {string} config @param {Settings} settings */
  constructor(load, config, settings) {
    this.#load = load;
    this.#config = config;
    this.#settings = settings;
    const { signal } = settings;
    if (signal?.aborted) this.#stop.abort();
    signal?.addEventListener('abort', () => this.#stop.abort(), { once: true, signal: this.#stop.signal });
  }

  /** @param {string | undefined} digest */
  async begin(digest) {
    await this.#calls.run(() => this.#configured());
    const { store } = this.#settings;
    if (store?.bind) store.bind(await this.describe(), digest);
    this.#acked.state = await this.#saves.run(async () => store?.load());
  }

  get state() {
    return this.#acked.state;
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
  async isComplete(state = this.#acked.state) {
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
    const { untilCaughtUp, giveUpAfterMs = 300_000, maxCrashes = 5, onProblem } = this.#settings;
    const stopped = this.#stop.signal;
    this.#generation += 1;
    let { state } = this.#acked;
    let [crashes, fruitless] = [0, 0];
    let progress = performance.now();

    while (!stopped.aborted) {
      const polled = performance.now();
      /** @type {Content} */
      let batch;
      try {
        batch = await this.#call('poll', state);
      } catch (/** @type {any} */ error) {
        if (this.#isClosed) return;
        if (error instanceof CrashError) {
          crashes += 1;
          if (crashes > maxCrashes) throw error;
          this.#generation += 1;
          ({ state } = this.#acked);
          const wait = Math.min(FIRST_BACK_OFF_MS * 2 ** (crashes - 1), LONGEST_BACK_OFF_MS);
          onProblem?.(error.problems[0], wait);
          await this.#wait(wait);
          continue;
        }
        if (!(error instanceof PollError)) throw error;
        crashes = 0;
        const { state: backedOff } = /** @type {{ state?: string }} */ (error);
        if (backedOff !== undefined) {
          // The same place with a back-off in it. Stored only where it is the acknowledged one.
          const isAcked = state === this.#acked.state;
          state = backedOff;
          if (isAcked) await this.#saves.run(() => this.#save(backedOff, this.#acked.number));
        }
        const wait = Math.min(error.retryAfterMs || RETRY_AFTER_MS, this.#settings.limits.longestWaitMs);
        const isLate = untilCaughtUp && performance.now() - progress + wait > giveUpAfterMs;
        if (isLate || !passes(kinds(error.problems))) throw error;
        onProblem?.(error.problems[0], wait);
        await this.#wait(wait);
        continue;
      }
      crashes = 0;
      state = batch.state;
      const { lines, stats, problems, nextPollMs } = batch;
      const isFruitful = lines.length > 0 || stats.bytesRead > 0 || stats.filesCompleted > 0;
      if (isFruitful) progress = performance.now();
      fruitless = isFruitful || nextPollMs > 0 ? 0 : fruitless + 1;

      yield this.#handedOut(batch);

      if (untilCaughtUp && nextPollMs > 0) {
        const found = kinds(problems);
        found.delete('data'); // reported, and stepped around
        if (!found.size && !stats.backlogFiles) return;
        const isLate = performance.now() - progress + nextPollMs > giveUpAfterMs;
        const blocking = problems.filter(({ kind }) => kind !== 'data');
        if (blocking.length && (isLate || !passes(found))) throw new PollError(blocking[0], { problems: blocking });
        if (isLate) {
          const message = `no progress, and the next attempt is ${Math.round(nextPollMs / 1000)} s away`;
          throw new PollError({ kind: 'transient', message, retryAfterMs: nextPollMs });
        }
      }
      const due = fruitless > EMPTY_PROMISES ? FIRST_BACK_OFF_MS : nextPollMs;
      await this.#wait(Math.max(0, due - (performance.now() - polled)));
    }
  }

  /** @param {Content} batch */
  #handedOut(batch) {
    this.#number += 1;
    const [number, generation] = [this.#number, this.#generation];
    const ack = () =>
      this.#saves.run(async () => {
        if (generation !== this.#generation || number <= this.#acked.number) return;
        await this.#save(batch.state, number);
      });
    return new Batch(batch, ack);
  }

  /** @param {string} state @param {number} number */
  async #save(state, number) {
    if (state !== this.#acked.state) await this.#settings.store?.save(state);
    this.#acked = acknowledged(state, number);
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
      this.#grants = await this.#ask(instance, 'configure', [this.#config]);
      if (this.#range) await this.#ask(instance, 'confine', [this.#range]);
    } catch (error) {
      this.#instance = undefined;
      instance.stop();
      throw error;
    }
    return instance;
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

  /** Resolves when the work at hand is done. @param {Error} why */
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

/** Who must act on a problem; see `problem-kind` in wit/source.wit. */
export type Kind =
  | 'config' | 'auth' | 'permission' | 'rate-limited' | 'transient' | 'data' | 'state' | 'internal';

/** One thing that went wrong, in words for a person. Holds no secret and no control characters. */
export interface Problem {
  kind: Kind;
  /** What happened. */
  message: string;
  /** The stream it happened in. */
  stream?: string;
  /** Where in the configuration: `auth.private_key`. */
  path?: string;
  /** What to do about it. */
  hint?: string;
  /** Milliseconds after which trying again makes sense. */
  retryAfterMs?: number;
}

export interface Description {
  name: string;
  /** Semantic version of the component. */
  version: string;
  /** JSON Schema (draft 2020-12) of the configuration, as a text. */
  configSchema: string;
  streams: { name: string; summary: string }[];
}

/** What there is to collect of one kind on one day. */
export interface BacklogDay {
  kind: string;
  /** `2026-01-02`, in UTC; all days together where it is left out. */
  day?: string;
  items?: number;
  bytes?: number;
}

/** The result of trying one thing that a poll needs. */
export interface Finding {
  /** Short and stable: `sign-in`. */
  name: string;
  verdict: 'pass' | 'warn' | 'fail';
  message: string;
  hint?: string;
  backlog: BacklogDay[];
}

/** What a poll did. Counts are of this poll alone; the last three describe the present. */
export interface Stats {
  requests: number;
  tokenRequests: number;
  /** Of response bodies, as they came over the wire. */
  bytesReceived: number;
  /** Of log content, after decompression. */
  bytesRead: number;
  rowsRead: number;
  rowsMalformed: number;
  filesCompleted: number;
  filesGivenUp: number;
  apiUsage?: { used: number; maximum: number };
  backlogFiles: number;
  backlogBytes: number;
}

/** An event: a JSON object with a stable `event.id`. */
export type Event = Record<string, unknown>;

/** The next events, and where they lead to. */
export interface Batch {
  /** The events, parsed when first asked for. */
  readonly events: Event[];
  /** The same as the component wrote them: each one JSON object without line breaks. */
  readonly lines: readonly string[];
  /** Covers the events up to and including this batch. Opaque. */
  readonly state: string;
  /** When the next poll is due, in milliseconds from this one. 0 = more is ready now. */
  readonly nextPollMs: number;
  /** What went wrong in single streams while others went on. */
  readonly problems: readonly Problem[];
  readonly stats: Stats;
  /**
   * Says that the events are safe, and stores the state. Rejects with a `StateError` if it cannot be stored; calling it again
   * tries again. A second call does nothing. Until it was called, no other batch is handed out.
   */
  ack(): Promise<void>;
}

/** Where a state lies between runs. `save` must return only once it is safe. */
export interface StateStore {
  /** Told before `load` whose state it is: the component, and its digest unless it was given as a module. */
  bind?(component: Description, digest: string | undefined): void;
  load(): Promise<string | undefined>;
  save(state: string): Promise<void>;
  /** Called once, by `Source.close`. */
  close?(): Promise<void>;
}

export interface Limits {
  /** Bytes of linear memory. Default 64 MiB. */
  memoryBytes?: number;
  /** Milliseconds of one call, waiting included. Default 300,000. */
  callTimeMs?: number;
  /** Events of one batch. Default 100,000. */
  batchEvents?: number;
  /** UTF-8 bytes of all events of one batch. Default 32 MiB. */
  batchBytes?: number;
  /** UTF-8 bytes of one event. Default 8 MiB. */
  eventBytes?: number;
  /** UTF-8 bytes of a state. Default 1 MiB. */
  stateBytes?: number;
  /** The longest wait that a batch may ask for, in milliseconds; longer ones are cut. Default 24 hours. */
  longestWaitMs?: number;
}

/** How a component becomes a module. */
export interface LoadOptions {
  /**
   * Folder for transpiled components, made with mode 0700. Default: `PIPELINE_SOURCE_CACHE`, or `pipeline-source` in the
   * user's cache folder.
   */
  cache?: string;
  /** What the component has to be: `sha256:` and 64 hexadecimal digits of its file. */
  digest?: string;
  /**
   * Whether a component for WASI 0.3 (`pipeline:source/async-source`) is run. Needs Node 24, and the optional dependency
   * preview3-shim. Default false: what runs it is new.
   */
  wasi03?: boolean;
  limits?: Limits;
}

export interface Options extends LoadOptions {
  /** Where the state lies: the path of a file (see `fileStore`), or a store. Without it each run begins anew. */
  state?: string | StateStore;
  /** Ends the loop when nothing is left to read. Default false: it goes on until it is stopped. */
  untilCaughtUp?: boolean;
  /** With `untilCaughtUp`: how long a source may bring nothing that is new, for whatever reason. Default 300,000. */
  giveUpAfterMs?: number;
  /** Ends the loop after the batch at hand, without an error. */
  signal?: AbortSignal;
  /**
   * Authorities that the component may contact, of those that it says its configuration needs: `host`, `host:port`,
   * `*.domain` or `*.domain:port`, without a scheme; where a rule has no port, the usual one is meant. What is no rule, and a
   * configuration that needs more than they cover, is refused by `open`. Default: all of these.
   */
  allow?: string[];
  /** Crashes in a row that are recovered from. Default 5. */
  maxCrashes?: number;
  /** Told of what the loop waits out: failed polls and crashes. Problems in batches are not among them. */
  onProblem?(problem: Problem, retryInMs: number): void;
  /** What the component's wall clock shows, and the loop goes by, in milliseconds since 1970. For tests. Default: the system's. */
  clock?(): number;
  /** Waits, or returns early when `signal` is aborted. For tests. */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}

/** A configured source. One caller at a time polls it; calls queue up. */
export interface Source extends AsyncIterable<Batch>, AsyncDisposable {
  /** The last acknowledged state. */
  readonly state: string | undefined;
  /** Authorities that the configuration needs. */
  readonly authorities: readonly string[];
  /** What in the configuration is allowed but probably not meant. */
  readonly warnings: readonly Problem[];
  /**
   * Polls after the last acknowledged state. A batch that was not acknowledged when the next one is asked for, or when a new
   * loop begins, is handed out again: the same object, without a poll, after a pause that grows from a second to a minute.
   * Problems that pass are waited out. Throws a `PollError` for one that somebody must act on, a `CrashError` after too many
   * crashes in a row; a new loop tries again, after the wait that either asks for. A source that promises more at once and
   * brings nothing, more than ten times in a row, is polled once a second.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Batch>;
  describe(): Promise<Description>;
  /** Tries each thing that a poll needs, with one cheap request each. */
  check(): Promise<Finding[]>;
  /** Confines the source to `fromMs <= time < untilMs`, in milliseconds since 1970. Before the first poll. */
  confine(range: { fromMs: number; untilMs: number }): Promise<void>;
  /** Whether no poll after this state returns anything any more. Default: the last acknowledged one. */
  isComplete(state?: string): Promise<boolean>;
  /** Stops the component at once, a poll under way included, and closes the store. */
  close(): Promise<void>;
}

/**
 * Loads a component, configures it and takes hold of its state.
 *
 * @param component The path or `file:` URL of a component (`.wasm`) or of a module that `transpile` made (`.js`), or the
 *   bytes of a component. A module is run as it is: trust it as you trust your own code.
 * @param config The document that `configure` takes, as an object or as JSON. Secrets stand in it as plain texts; see
 *   `readConfig`.
 * @throws {ComponentError} if it cannot be loaded
 * @throws {ConfigurationError} if the configuration is refused, with all `problems`, or `allow` does not cover what it needs
 * @throws {StateError} if the state cannot be used
 * @throws {CrashError} if the component crashes
 */
export function open(
  component: string | URL | Uint8Array, config: object | string, options?: Options,
): Promise<Source>;

/** What a component is. Needs no configuration and no network. */
export function describe(component: string | URL | Uint8Array, options?: LoadOptions): Promise<Description>;

/** Writes a component as an ES module into a folder, for a place without a transpiler. Returns the module's path. */
export function transpile(component: string | URL | Uint8Array, folder: string, name?: string): Promise<string>;

/**
 * Reads a configuration in JSON from a file. `{"file": "path"}` (relative to it) and `{"env": "NAME"}` in it stand for a
 * text that lies elsewhere.
 *
 * @throws {ConfigurationError} which quotes nothing of the document
 */
export function readConfig(path: string): Promise<object>;

/**
 * A state in a file: mode 0600, with a checksum, replaced as a whole or not at all, synced, and locked (`path` and `.lock`)
 * from `load` until `close`. It is the file of source-host: either goes on where the other stopped. A state of another
 * `tenant` (default `default`) or of another component is refused. Where there is no way to lock, `load` fails unless `lock`
 * is false.
 */
export function fileStore(path: string, options?: { lock?: boolean; tenant?: string }): StateStore;

/** What all errors of this package have. */
export class SourceError extends Error {
  constructor(problem: Problem, options?: { problems?: Problem[]; cause?: unknown });
  readonly kind: Kind;
  readonly stream?: string;
  readonly path?: string;
  readonly hint?: string;
  readonly retryAfterMs?: number;
  /** All that was reported, the first of which the message is about. */
  readonly problems: readonly Problem[];
}
/** The component cannot be loaded: its file, its imports, its contract. */
export class ComponentError extends SourceError {}
/** The configuration is refused. */
export class ConfigurationError extends SourceError {}
/** The state cannot be loaded or stored. */
export class StateError extends SourceError {}
/** A poll could do nothing at all, or nothing more, and somebody must act. */
export class PollError extends SourceError {}
/** The source was closed. */
export class ClosedError extends SourceError {}
/** The component was lost in a call. */
export class CrashError extends SourceError {
  constructor(reason: CrashError['reason'], message: string, options?: { cause?: unknown });
  /** It failed by itself, by the looks of it at its limit of memory; took too much time; or returned what breaks the contract. */
  readonly reason: 'trap' | 'memory' | 'time' | 'refused';
}

// The program: what it is told on the command line, and how it ends.

import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { PollError, SourceError, describe, fileStore, open, readConfig, transpile } from './index.js';
import { words } from './errors.js';
import { fileOutput, standardOutput } from './output.js';
import { readSettings } from './settings.js';

const HELP = `Collects logs with a source component: polls it, writes its events as NDJSON, keeps its state.

usage: pipeline-source SOURCE.toml [--until-caught-up]
       pipeline-source COMPONENT CONFIG.json [--state FILE] [--output FILE] [--until-caught-up] [--allow HOST]...
       pipeline-source SOURCE.toml --check
       pipeline-source COMPONENT --describe
       pipeline-source COMPONENT --transpile FOLDER

SOURCE.toml is the file that source-host takes, for instance:

    component = "salesforce-source.wasm"
    [source]                                   # what the component's configuration is; --describe lists streams
    instance_url = "https://acme.my.salesforce.com"
    [source.auth]
    flow = "jwt-bearer"
    client_id = "3MVG9..."
    username = "collector@acme.com"
    private_key = { file = "client-key.pem" }  # or { env = "NAME" }
    [source.streams.login]
    event_log_file = { interval = "1h" }
    [state]
    path = "state.json"                        # how far it has come; one run per file
    [output]
    kind = "file"                              # or "stdout", the default
    path = "events.ndjson"
    [egress]
    allow = ["acme.my.salesforce.com"]         # nowhere else, and nowhere at all if left out

Paths in it are relative to it. CONFIG.json is the [source] part alone, in JSON. COMPONENT is a component (.wasm), or a
module that --transpile made of one (.js), which needs no transpiler and starts sooner.

  --state FILE       remembers how far collection has come; without it, everything comes again
  --output FILE      appends events to a file and syncs it; otherwise they go to standard output
  --until-caught-up  ends when nothing is left to read; otherwise runs until SIGINT or SIGTERM, which finish the
                     batch at hand (a second one ends at once, and that batch comes again)
  --allow HOST       contact this host alone, of those that the configuration needs: host, host:port, *.domain
  --check            tries each thing that a collection needs, and says what to do about what fails
  --describe         shows what the component is
  --transpile FOLDER writes the component as a module into a folder
  --wasi-0.3         runs a component for WASI 0.3 as well (Node 24)
  --cache FOLDER     where transpiled components are kept (PIPELINE_SOURCE_CACHE)

Events are written before the state is stored: after a crash some come again, with the same event.id, and none is lost.
Exit status: 0 done, 1 something failed, 2 a mistake in what was given.`;

/** A mistake in what was given on the command line. */
class Misuse extends Error {}

/** @param {string[]} args The command line behind the program's name. @returns {Promise<number>} the exit status */
export async function main(args) {
  try {
    return await run(args);
  } catch (/** @type {any} */ error) {
    for (const line of explained(error)) console.error(line);
    const isMistake = error instanceof Misuse || error.code?.startsWith?.('ERR_PARSE_ARGS');
    return isMistake || ['config', 'state'].includes(error.kind) ? 2 : 1;
  }
}

/** @param {any} error */
function explained(error) {
  if (error instanceof SourceError) return error.problems.map(words);
  return [`error: ${error?.message ?? error}`];
}

/** @param {string[]} args */
async function run(args) {
  const flag = /** @type {const} */ ({ type: 'boolean' });
  const text = /** @type {const} */ ({ type: 'string' });
  const { positionals, values: options } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      state: text, output: text, cache: text, transpile: text, allow: { type: 'string', multiple: true },
      'until-caught-up': flag, 'wasi-0.3': flag, check: flag, describe: flag, help: { type: 'boolean', short: 'h' },
    },
  });
  if (options.help || args.length === 0) {
    console.log(HELP);
    return options.help ? 0 : 2;
  }
  const [first, second] = positionals;
  const isToml = first?.endsWith('.toml') ?? false;
  const wantsConfig = !isToml && options.describe === undefined && options.transpile === undefined;
  if (!first || positionals.length > (wantsConfig ? 2 : 1) || (wantsConfig && !second)) {
    throw new Misuse('what to run is missing, or there is too much of it; --help shows how');
  }
  if (isToml && (options.state ?? options.output ?? options.allow)) {
    throw new Misuse('with a TOML file, state, output and allow are said in it');
  }
  const { cache } = options;
  const settings =
    isToml ? await readSettings(first)
    : { component: first, source: wantsConfig ? await readConfig(second) : {}, ...options, limits: {}, digest: undefined, wasi03: options['wasi-0.3'] };
  if (options.transpile !== undefined) {
    console.log(await transpile(settings.component, options.transpile));
    return 0;
  }
  if (options.describe) {
    const { name, version, streams } = await describe(settings.component, { cache, digest: settings.digest, wasi03: settings.wasi03 });
    console.log(JSON.stringify({ name, version, streams }, null, 2));
    return 0;
  }

  const stop = new AbortController(); // after this batch
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  const { component, limits, digest, wasi03, allow } = settings;
  const tenant = isToml ? basename(first, '.toml') : undefined;
  const state = options.check || settings.state === undefined ? undefined : fileStore(settings.state, { tenant });
  const source = await open(component, settings.source, {
    cache, limits, digest, wasi03, allow, state,
    signal: stop.signal,
    untilCaughtUp: options['until-caught-up'],
    onProblem: (problem) => console.error(words(problem)),
  }).catch((error) => {
    if (isToml && error.kind === 'config' && error.problems) throw inSource(error);
    throw error;
  });
  try {
    for (const warning of source.warnings) console.error(words(warning));
    return options.check ? await check(source) : await collect(source, settings.output, options['until-caught-up']);
  } finally {
    await source.close();
  }
}

/** Paths as they stand in the TOML file. @param {SourceError} error */
function inSource(error) {
  const problems = error.problems.map((problem) => {
    const { path } = problem;
    return path ? { ...problem, path: path === 'allow' ? 'egress.allow' : `source.${path}` } : problem;
  });
  return new SourceError(problems[0], { problems });
}

/** @param {import('../index.js').Source} source */
async function check(source) {
  const findings = await source.check();
  for (const { verdict, name, message, hint } of findings) {
    console.log(`${verdict} ${name}: ${message}${hint ? ` (${hint})` : ''}`);
  }
  return findings.some(({ verdict }) => verdict === 'fail') ? 1 : 0;
}

/** @param {import('../index.js').Source} source @param {string | undefined} file @param {boolean | undefined} untilCaughtUp */
async function collect(source, file, untilCaughtUp) {
  const output = file === undefined ? standardOutput() : await fileOutput(file);
  const total = { events: 0, files: 0, requests: 0 };
  let hasWorked = false;
  try {
    for (;;) {
      try {
        for await (const batch of source) {
          for (const problem of batch.problems) console.error(words(problem));
          if (batch.lines.length) await output.write(batch.lines.join('\n') + '\n');
          await batch.ack();
          hasWorked = true;
          total.events += batch.lines.length;
          total.files += batch.stats.filesCompleted;
          total.requests += batch.stats.requests;
        }
        return 0;
      } catch (error) {
        if (!(error instanceof PollError) || untilCaughtUp) throw error;
        // Somebody must act, and may do so while this runs. A configuration that has worked may work again: a stream was renamed.
        if (error.kind === 'state' || (error.kind === 'config' && !hasWorked)) throw error;
        for (const line of explained(error)) console.error(line);
      }
    }
  } catch (/** @type {any} */ error) {
    if (error.code === 'EPIPE') return 0; // the reader of standard output has gone, as in `pipeline-source ... | head`
    throw error;
  } finally {
    await output.close();
    console.error(`${total.events} events from ${total.files} files in ${total.requests} requests`);
  }
}

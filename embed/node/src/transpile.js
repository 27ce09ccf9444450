// From a component's file to a module that Node runs, by way of a cache.

import { createHash, randomUUID } from 'node:crypto';
import { lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LARGEST_COMPONENT, admitted, runs03 } from './admission.js';
import { ASYNC_CONTRACT } from './contract.js';
import { ComponentError, reason } from './errors.js';
import { NoFile, readUpTo } from './file.js';

/** Changes with what is generated, beside the version of the generator. */
const FORMAT = 2;
const TRANSPILING_MS = 120_000;

/** @param {string} message @param {unknown} [cause] */
const refuse = (message, cause) => new ComponentError({ kind: 'config', message }, { cause });

/** @param {Uint8Array | string} data */
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/**
 * The URL of the module of a component, whether it is one for WASI 0.3, and the component's digest unless it is a module already.
 *
 * @param {string | URL | Uint8Array} component
 * @param {import('../index.js').LoadOptions} options
 */
export async function moduleOf(component, { cache = cacheFolder(), digest, wasi03 = false }) {
  const { bytes, shown, path } = await read(component);
  const found = `sha256:${sha256(bytes)}`;
  if (digest !== undefined && digest.toLowerCase() !== found) {
    throw refuse(`${shown}: it is not the component that the digest is of; it has ${found}`);
  }
  const isAsync = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(ASYNC_CONTRACT);
  if (path && /\.m?js$/.test(path)) {
    if (isAsync) runs03(shown, wasi03);
    return { module: pathToFileURL(path).href, digest: undefined, isAsync };
  }
  const contract = admitted(bytes, shown);
  if (contract === ASYNC_CONTRACT) runs03(shown, wasi03);
  try {
    return { module: await cached(bytes, shown, resolve(cache), contract), digest: found, isAsync: contract === ASYNC_CONTRACT };
  } catch (/** @type {any} */ error) {
    if (error instanceof ComponentError || !error?.code) throw error;
    throw refuse(
      `cannot use the folder ${cache} for transpiled components: ${reason(error)}. Another one is named by the option \`cache\` or PIPELINE_SOURCE_CACHE; a module that \`transpile\` made needs none`,
      error,
    );
  }
}

/** @type {typeof import('../index.js').transpile} */
export async function transpile(component, folder, name) {
  const { bytes, shown, path } = await read(component);
  name ??= path ? basename(path, '.wasm') : 'component';
  const files = await generate(bytes, shown, name, admitted(bytes, shown));
  try {
    await mkdir(folder, { recursive: true });
    for (const [file, content] of files) await writeFile(join(folder, file), content);
  } catch (error) {
    throw refuse(`cannot write to ${folder}: ${reason(error)}`, error);
  }
  return join(folder, `${name}.js`);
}

/** @param {string | URL | Uint8Array} component */
async function read(component) {
  if (component instanceof Uint8Array) return { bytes: component, shown: 'the component' };
  const path = component instanceof URL ? fileURLToPath(component) : resolve(component);
  try {
    return { bytes: await readUpTo(path, LARGEST_COMPONENT), shown: String(component), path };
  } catch (error) {
    if (error instanceof NoFile) throw refuse(`${component}: it is not a file`);
    throw refuse(`${component}: cannot read the component: ${reason(error)}`, error);
  }
}

function cacheFolder() {
  const { env, platform } = process;
  if (env.PIPELINE_SOURCE_CACHE) return env.PIPELINE_SOURCE_CACHE;
  const home = homedir();
  const base =
    platform === 'win32' ? env.LOCALAPPDATA
    : platform === 'darwin' ? home && join(home, 'Library', 'Caches')
    : env.XDG_CACHE_HOME || (home && home !== '/' && join(home, '.cache'));
  return base ? join(base, 'pipeline-source') : join(tmpdir(), `pipeline-source-${process.getuid?.() ?? ''}`);
}

/** @param {Uint8Array} bytes @param {string} shown @param {string} cache @param {string} contract */
async function cached(bytes, shown, cache, contract) {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  await ours(cache);
  const folder = join(cache, sha256(`${FORMAT} ${generatorVersion()} ${sha256(bytes)}`));
  if (!(await isSound(folder))) {
    const files = await generate(bytes, shown, 'component', contract);
    const fresh = join(cache, `.${randomUUID()}`);
    await mkdir(fresh, { mode: 0o700 });
    /** @type {Record<string, string>} */
    const manifest = {};
    for (const [file, content] of files) {
      await writeFile(join(fresh, file), content, { mode: 0o600 });
      manifest[file] = sha256(content);
    }
    await writeFile(join(fresh, 'manifest.json'), JSON.stringify(manifest), { mode: 0o600 });
    await rm(folder, { recursive: true, force: true });
    try {
      await rename(fresh, folder);
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      // Another process was first.
      if (!(await isSound(folder))) throw error;
    }
  }
  return pathToFileURL(join(folder, 'component.js')).href;
}

/** What lies in it is run, so nobody else may write to it. @param {string} folder */
async function ours(folder) {
  const { uid, mode } = await lstat(folder);
  if (process.getuid && (uid !== process.geteuid?.() || mode & 0o022)) {
    throw refuse(`the folder ${folder} for transpiled components belongs to somebody else, or others may write to it; name another one by the option \`cache\` or PIPELINE_SOURCE_CACHE`);
  }
}

/** @param {string} folder */
async function isSound(folder) {
  try {
    await ours(folder);
    const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
    for (const [file, digest] of Object.entries(manifest)) {
      if (sha256(await readFile(join(folder, basename(file)))) !== digest) return false;
    }
    return 'component.js' in manifest;
  } catch {
    return false;
  }
}

function generatorVersion() {
  try {
    const path = createRequire(import.meta.url).resolve('@bytecodealliance/jco-transpile/component');
    return createRequire(import.meta.url)(join(path, '../../package.json')).version;
  } catch {
    throw refuse('there is no transpiler: it is an optional dependency, @bytecodealliance/jco-transpile. Install it, or give a module that `transpile` made');
  }
}

/** @param {Uint8Array} bytes @param {string} shown @param {string} name @param {string} contract @returns {Promise<[string, Uint8Array | string][]>} */
async function generate(bytes, shown, name, contract) {
  generatorVersion();
  const worker = new Worker(new URL('transpile-worker.js', import.meta.url), { workerData: { bytes, name, contract }, env: {} });
  const timer = setTimeout(() => worker.terminate(), TRANSPILING_MS);
  try {
    const answer = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(refuse(`${shown}: the transpiler ended without an answer`)));
    });
    if (answer.missing) throw refuse('the transpiler @bytecodealliance/jco-transpile is not installed');
    if (answer.invalid) throw refuse(`${shown}: it is not a valid component: ${answer.invalid}`);
    speaksTheContract(answer, shown, contract);
    return [...answer.files, ['package.json', '{"type":"module"}\n']];
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

/** @param {{ exports: string[] }} component @param {string} shown @param {string} contract */
function speaksTheContract({ exports }, shown, contract) {
  if (exports.includes(contract)) return;
  const [interface_] = contract.split('@');
  const other = exports.find((name) => name.startsWith(`${interface_}@`));
  throw refuse(
    other
      ? `${shown}: the component speaks ${other}, and this package ${contract}; take versions that go together`
      : `${shown}: the component is no source: it does not export ${contract}`,
  );
}

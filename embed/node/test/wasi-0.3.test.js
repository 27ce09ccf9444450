// How far the way to WASI 0.3 is open; see README.md. A component with an asynchronous export that waits for an asynchronous
// import, lifted with a callback as Rust guests are.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { transpileBytes } from '@bytecodealliance/jco-transpile';
import { parse } from '@bytecodealliance/jco-transpile/wasm-tools';
import { folder } from './support.js';

const CLOCK = 'wasi:clocks/monotonic-clock@0.3.0';
const WAITS = `(component
  (import "${CLOCK}" (instance $clock (export "wait-for" (func async (param "how-long" u64)))))
  (alias export $clock "wait-for" (func $wait-for))
  (core func $wait (canon lower (func $wait-for) async))
  (core func $return (canon task.return (result u32)))
  (core func $new (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $drop (canon subtask.drop))
  (core module $module
    (import "" "wait" (func $wait (param i64) (result i32)))
    (import "" "return" (func $return (param i32)))
    (import "" "new" (func $new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "poll") (result i32) (local $set i32)
      (local.set $set (call $new))
      (call $join (i32.shr_u (call $wait (i64.const 20_000_000)) (i32.const 4)) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (call $drop (local.get 1))
      (call $return (i32.const 43))
      (i32.const 0)))
  (core instance $instance (instantiate $module (with "" (instance
    (export "wait" (func $wait)) (export "return" (func $return)) (export "new" (func $new))
    (export "join" (func $join)) (export "drop" (func $drop))))))
  (alias core export $instance "callback" (core func $callback))
  (func (export "poll") async (result u32)
    (canon lift (core func $instance "poll") async (callback (core func $callback)))))`;

const hasPromises = 'Suspending' in WebAssembly;

test('an asynchronous export of WASI 0.3 waits without a thread of its own', { skip: !hasPromises && `Node ${process.version} has no JavaScript Promise Integration` }, async () => {
  const place = await folder();
  const { files, imports } = await transpileBytes(await parse(WAITS), {
    name: 'waits', instantiation: 'async', asyncMode: 'jspi', emitTypescriptDeclarations: false,
    asyncExports: ['poll'], asyncImports: [`${CLOCK}#wait-for`],
  });
  assert.deepEqual(imports, ['wasi:clocks/monotonic-clock']);
  await writeFile(join(place, 'package.json'), '{"type":"module"}');
  for (const [name, content] of Object.entries(files)) await writeFile(join(place, name), content);
  const shim = createRequire(import.meta.url).resolve('@bytecodealliance/preview3-shim/clocks');
  const { monotonicClock } = await import(pathToFileURL(shim).href);
  const { instantiate } = await import(pathToFileURL(join(place, 'waits.js')).href);
  const compile = async (name) => WebAssembly.compile(await readFile(join(place, name)));
  const { poll } = await instantiate(compile, { 'wasi:clocks/monotonic-clock': monotonicClock });
  let isOver = false;
  const polled = poll().finally(() => (isOver = true));
  for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate);
  assert.equal(isOver, false);
  assert.equal(await polled, 43);
});

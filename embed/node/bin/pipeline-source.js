#!/usr/bin/env node
import { versionProblem } from '../src/version.js';

const problem = versionProblem(process.versions.node);
if (problem) {
  console.error(problem);
  process.exit(2);
}
try {
  const { main } = await import('../src/program.js');
  process.exitCode = await main(process.argv.slice(2));
} catch (/** @type {any} */ error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  const { NOT_INSTALLED } = await import('../src/instance.js');
  console.error(NOT_INSTALLED);
  process.exitCode = 2;
}

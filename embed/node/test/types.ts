// Compiled and never run: the package as TypeScript sees it, and that its declarations are true.

import * as declared from 'pipeline-source';
import * as actual from '../src/index.js';
import { open, fileStore, PollError, type Batch, type StateStore, type Problem } from 'pipeline-source';

actual satisfies typeof declared;

const memory: StateStore = { load: async () => undefined, save: async (state: string) => void state };

export async function usage(signal: AbortSignal): Promise<void> {
  await using source = await open(new URL('file:///source.wasm'), { url: 'x' }, {
    state: fileStore('state.json', { lock: false }),
    signal,
    allow: ['*.example.com'],
    limits: { memoryBytes: 32 << 20 },
    onProblem: (problem: Problem, retryInMs: number) => console.error(problem.hint, retryInMs),
  });
  for await (const batch of source) {
    const { events, lines, nextPollMs, stats }: Batch = batch;
    console.log(events[0]?.['@timestamp'], lines.length, nextPollMs + stats.backlogBytes);
    await batch.ack();
  }
  await open(new Uint8Array(), '{}', { state: memory }).catch((error: unknown) => {
    if (error instanceof PollError && error.kind === 'rate-limited') return error.retryAfterMs;
    throw error;
  });
  // @ts-expect-error A batch is acknowledged by a call without arguments.
  for await (const batch of source) await batch.ack(batch.state);
  // @ts-expect-error There is no such kind.
  if (new PollError({ kind: 'fatal', message: '' }).kind) return;
}

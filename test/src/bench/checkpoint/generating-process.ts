/** The process in which generation by a checkpoint is measured: threads as those of a policy service, and nothing else. */
import { spawn } from '@rlhf-streams/threads';
import { answerRequests } from '../against/channel.js';
import { timed } from '../timing.js';
import type { GenerationThread } from './generation-thread.js';

const SLOTS = 16;
let threads: ReturnType<typeof spawn<GenerationThread>>[] = [];

await answerRequests(async (workload) => {
  if (workload.kind !== 'generation') throw new Error(`expected generation, got ${workload.kind}`);
  const { model, prompts } = workload;
  if (threads.length === 0) {
    const url = new URL('./generation-thread.js', import.meta.url);
    threads = Array.from({ length: workload.threads }, (_, index) =>
      spawn<GenerationThread>(url, { name: `generation-${index}`, data: { model, slots: SLOTS } }),
    );
  }
  const all = Array.from({ length: prompts }, (_, prompt) => prompt);
  const generate = () =>
    Promise.all(
      threads.map(({ call }, thread) => {
        const own = all.filter((prompt) => prompt % threads.length === thread);
        return own.length > 0 ? call.run(workload, own) : undefined;
      }),
    );
  return { run: () => timed(generate), close: async () => {} };
});
for (const thread of threads) await thread.close();

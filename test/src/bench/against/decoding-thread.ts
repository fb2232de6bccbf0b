import { parentPort, workerData } from 'node:worker_threads';
import type { DecodingThread } from './decoding.js';
import { importBench, importFrom } from './import-from.js';

const { root, index, threads, prompts, promptTokens, newTokens } = workerData as DecodingThread;
const { createGenerator, keyFor } = await importFrom<typeof import('@rlhf-streams/model')>(
  root,
  '@rlhf-streams/model',
);
const { onnxEngine } = await importFrom<typeof import('@rlhf-streams/tensor')>(root, '@rlhf-streams/tensor');
const { initialParameters, small, someTokens } = await importBench<typeof import('../models.js')>(
  root,
  'models.js',
);

const parameters = initialParameters(small);
const tokens = someTokens(prompts * promptTokens, small);
const generator = createGenerator(onnxEngine(), small, { slots: prompts / threads });
/** New weights each time, as in each step of training. */
let version = 0;

parentPort!.on('message', async () => {
  const weights = { version: `${version++}`, parameters };
  const own = Array.from({ length: prompts }, (_, prompt) => prompt).filter(
    (prompt) => prompt % threads === index,
  );
  await Promise.all(
    own.map((prompt) =>
      generator.generate({
        weights,
        promptTokens: [...tokens.subarray(prompt * promptTokens, (prompt + 1) * promptTokens)],
        sampling: { temperature: 0.7, topK: 0, topP: 1 },
        maxNewTokens: newTokens,
        stopTokens: [],
        key: keyFor(0, `rollout ${prompt}`),
      }),
    ),
  );
  parentPort!.postMessage('generated');
});
parentPort!.postMessage('ready');

/** The process in which cases of one setting of the engine are computed: `node computing-process.js CASES`, JSON. */
import { writeSync } from 'node:fs';
import { tensorflowEngine } from '@rlhf-streams/tensor';
import type { Case } from './cases.js';
import { openGeneration } from './generating.js';
import type { Measured } from './results.js';
import { openTraining } from './training.js';

const CHANNEL = 3;
/** Calls before the measured ones, the first included. */
const WARM_UP = 3;
const LEAST_CALLS = 3;

const cases = JSON.parse(process.argv[2]!) as readonly Case[];
const [{ precision, mode }] = cases as readonly [Case];
const engine = tensorflowEngine({
  precision: precision === 'bf16' ? 'bf16' : 'float32',
  xla: mode === 'xla',
});
for (const one of cases) {
  const said = await measured(one).catch((error) => ({ failed: String(error?.stack ?? error) }));
  writeSync(CHANNEL, `${JSON.stringify(said)}\n`);
}
await engine.close();

async function measured(one: Case): Promise<Measured> {
  const step = await (one.kind === 'train' ? openTraining : openGeneration)(engine, one);
  try {
    const begun = performance.now();
    let { loss } = await step.run();
    const firstMs = performance.now() - begun;
    for (let call = 1; call < WARM_UP; call++) await step.run();
    const ms: number[] = [];
    const end = performance.now() + one.seconds * 1000;
    while (ms.length < LEAST_CALLS || performance.now() < end) {
      const run = await step.run();
      ms.push(run.ms);
      loss = run.loss;
    }
    return { ms, tokens: tokensOf(one), firstMs, ...(loss !== undefined && { loss }) };
  } finally {
    await step.close();
  }
}

/** Tokens of a call. The first new token of a prompt is not among those of decoding. */
function tokensOf({ kind, rows, length, newTokens }: Case): number {
  return rows * (kind === 'decode' ? newTokens - 1 : length);
}

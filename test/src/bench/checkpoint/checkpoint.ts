/** Generation by a real checkpoint beside `generate` of transformers, on as many cores. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { missingLibraries, python } from '../../python/python.js';
import { type Competitor, startCompetitor } from '../against/channel.js';
import type { Generation } from '../against/workload.js';
import type { Measurement, Row } from '../measurement.js';
import { memoryOf } from '../process.js';
import { median, ratio } from '../timing.js';

const THREADS = 2;
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 32;
const ROUNDS = 3;
/** ONNX Runtime's and PyTorch's threads go on spinning for some milliseconds after a run. */
const SPINNING_MS = 200;

const CASES = [
  { prompts: 1, temperature: 0 },
  { prompts: 8, temperature: 0 },
  { prompts: 32, temperature: 0 },
  { prompts: 32, temperature: 1 },
] as const;

export const checkpoint: Measurement = {
  name: 'checkpoint',
  about: `a checkpoint's prefill of prompts of ${PROMPT_TOKENS} tokens, and ${NEW_TOKENS} new tokens each, on ${THREADS} cores`,
  onlyByName: true,
  async run({ model }) {
    if (model === undefined)
      throw new Error('expected --model DIR, or the folder of a checkpoint in RLHF_TEST_SMOLLM2');
    const missing = missingLibraries(['torch', 'transformers']);
    const competitors = [
      startCompetitor('this build', process.execPath, [generatingProcess]),
      ...(missing === undefined
        ? ['float32', 'bfloat16'].map((type) =>
            startCompetitor(`transformers, ${type}`, python, [pythonScript, type]),
          )
        : []),
    ];
    try {
      const rows: Row[] = [];
      for (const { prompts, temperature } of CASES) {
        console.error(`${prompts} prompts at temperature ${temperature} …`);
        const work = (newTokens: number): Generation => ({
          kind: 'generation',
          model,
          threads: THREADS,
          prompts,
          promptTokens: PROMPT_TOKENS,
          newTokens,
          temperature,
        });
        const times = await timesOf(competitors, [work(1), work(1 + NEW_TOKENS)]);
        const named = `${prompts} ${prompts === 1 ? 'prompt' : 'prompts'}, ${temperature === 0 ? 'greedy' : 'sampled'}`;
        const prefill = times.map(([first]) => first!);
        const decode = times.map(([first, all]) => all!.map((ms, round) => ms - first![round]!));
        rows.push(rowOf(`prefill, ${named}`, prompts * PROMPT_TOKENS, competitors, prefill));
        rows.push(rowOf(`decode, ${named}`, prompts * NEW_TOKENS, competitors, decode));
      }
      const memory = await Promise.all(
        competitors.map(async ({ name, pid }) => [`${name}, MB`, await memoryOf(pid)] as const),
      );
      return { rows, figures: Object.fromEntries(memory), notes: notesOf(missing) };
    } finally {
      await Promise.all(competitors.map(({ end }) => end()));
    }
  },
};

const generatingProcess = fileURLToPath(new URL('./generating-process.js', import.meta.url));
const pythonScript = fileURLToPath(new URL('../../../python/generation.py', import.meta.url));

/** Milliseconds of each competitor at each workload, round by round, in an order that reverses from round to round. */
async function timesOf(
  competitors: readonly Competitor[],
  workloads: readonly Generation[],
): Promise<number[][][]> {
  const times = competitors.map(() => workloads.map((): number[] => []));
  // The first round opens models and programs.
  for (let round = -1; round < ROUNDS; round++) {
    const order = competitors.map((_, index) => index);
    for (const index of round % 2 === 0 ? order : order.toReversed()) {
      for (const [which, workload] of workloads.entries()) {
        await sleep(SPINNING_MS);
        await competitors[index]!.open(workload);
        const ms = await competitors[index]!.run();
        if (round >= 0) times[index]![which]!.push(ms);
      }
    }
  }
  return times;
}

function rowOf(
  work: string,
  tokens: number,
  competitors: readonly Competitor[],
  times: readonly number[][],
): Row {
  const speed = (ms: number) => (tokens * 1000) / ms;
  return {
    work,
    ...Object.fromEntries(competitors.map(({ name }, i) => [`${name}, tokens/s`, speed(median(times[i]!))])),
    ...Object.fromEntries(
      competitors.slice(1).map(({ name }, i) => [`: ${name}`, 1 / ratio(times[i + 1]!, times[0]!)]),
    ),
  };
}

const notesOf = (missing: string | undefined): string[] => [
  'Medians over rounds; ": X" is the median of the ratios to the speed of X. Prefill has the first token in it. RSS counts',
  'a page of a file for each session that maps it, PSS and the machine count it once.',
  ...(missing === undefined
    ? []
    : [
        `transformers was left out, because ${missing} is missing: name a Python that has it in RLHF_PYTHON.`,
      ]),
];

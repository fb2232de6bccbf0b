/** Continuous batching: prompts in, completions out, on one thread and on both cores; and where the time goes. */
import { spawn } from '@rlhf-streams/threads';
import type { GenerationThread, GenerationThreadOptions, GenerationTimes } from './generation-thread.js';
import type { Measurement, Row } from './measurement.js';
import { big, nameOf, small } from './models.js';
import { inTurn, median } from './timing.js';

const PROMPTS = 64;
const PROMPT_TOKENS = 16;
const NEW_TOKENS = 48;
const TOKENS = PROMPTS * NEW_TOKENS;
const VARIANTS = [
  { threads: 1, slots: 32 },
  { threads: 1, slots: 64 },
  { threads: 2, slots: 32 },
] as const;

export const generation: Measurement = {
  name: 'generation',
  about: `${PROMPTS} prompts of ${PROMPT_TOKENS} tokens, ${NEW_TOKENS} new tokens each, by weights that are new in each run`,
  async run(options) {
    const rows = [...(await measure('small')), ...(options.big ? await measure('big') : [])];
    return {
      rows,
      notes: [
        'Tokens/s of a run have all in them; of decoding, all but prefill, loading the weights and the first step with them.',
      ],
    };
  },
};

async function measure(size: GenerationThreadOptions['size']): Promise<Row[]> {
  const generators = VARIANTS.map(({ threads, slots }) => ({
    threads,
    slots,
    ...generating(threads, size, slots),
  }));
  const name = (threads: number, slots: number) => `${threads} x ${slots}`;
  const times = await inTurn(
    Object.fromEntries(generators.map(({ threads, slots, run }) => [name(threads, slots), run])),
    { rounds: size === 'small' ? 8 : 3 },
  );
  const rows = generators.map(({ threads, slots, runs }): Row => {
    const milliseconds = times[name(threads, slots)]!;
    // The first run opens the programs.
    const share = (of: (run: GenerationTimes) => number) =>
      100 * median(runs.slice(1).map((run) => of(run) / run.total));
    const decoding = median(runs.slice(1).map((run) => run.total - run.prefill - run.load));
    return {
      model: nameOf({ small, big }[size]),
      'threads x slots': name(threads, slots),
      'median ms': median(milliseconds),
      'best ms': Math.min(...milliseconds),
      'tokens/s': Math.round((TOKENS * 1000) / median(milliseconds)),
      'decoding, tokens/s': Math.round(((TOKENS - 2 * PROMPTS) * 1000) / decoding),
      'prefill %': share((run) => run.prefill),
      'load %': share((run) => run.load),
      'decode %': share((run) => run.decode),
      'sampling and rest %': share((run) => run.total - run.prefill - run.load - run.decode),
    };
  });
  await Promise.all(generators.map(({ close }) => close()));
  return rows;
}

function generating(count: number, size: GenerationThreadOptions['size'], slots: number) {
  const data: GenerationThreadOptions = {
    size,
    slots,
    prompts: PROMPTS,
    promptTokens: PROMPT_TOKENS,
    newTokens: NEW_TOKENS,
  };
  const runs: GenerationTimes[] = [];
  const url = new URL('./generation-thread.js', import.meta.url);
  const threads = Array.from({ length: count }, (_, i) =>
    spawn<GenerationThread>(url, { name: `generation-${i}`, data }),
  );
  const prompts = Array.from({ length: PROMPTS }, (_, prompt) => prompt);
  return {
    runs,
    async run() {
      const times = await Promise.all(
        threads.map(({ call }, i) => call.run(prompts.filter((prompt) => prompt % count === i))),
      );
      runs.push(times.toSorted((a, b) => b.total - a.total)[0]!);
    },
    close: () => Promise.all(threads.map((thread) => thread.close())),
  };
}

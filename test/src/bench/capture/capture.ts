import type { ModelConfig } from '@rlhf-streams/model';
import type { Measurement, Row } from '../measurement.js';
import { big, nameOf, small } from '../models.js';
import { inTurn, median, ratio } from '../timing.js';
import { CAPACITY, modelDecode, plainDecode, SEQUENCES } from './decode-step.js';
import { LENGTH, plainStep, ROWS, trainerStep } from './training-step.js';

const THREADS = [1, 2] as const;

export const capture: Measurement = {
  name: 'capture',
  about: 'captured programs: the model and trainer against a plain composition of tfjs ops',
  async run(options) {
    const rows: Row[] = [];
    for (const config of options.big ? [small, big] : [small]) {
      for (const threads of THREADS) rows.push(await trainingSteps(config, threads));
      for (const threads of THREADS) rows.push(await decodeSteps(config, threads));
    }
    return {
      rows,
      notes: ['differ by: the first losses of the two, the largest difference of their logits.'],
    };
  },
};

const roundsOf = (config: ModelConfig) => (config === small ? 12 : 5);

async function trainingSteps(config: ModelConfig, threads: number): Promise<Row> {
  const trainer = await trainerStep(config, threads);
  const plain = await plainStep(config, threads);
  try {
    const difference = Math.abs((await trainer.run()) - (await plain.run()));
    const times = await inTurn({ ours: trainer.run, plain: plain.run }, { rounds: roundsOf(config) });
    const program = `training step, ${nameOf(config)}, ${ROWS} x ${LENGTH}`;
    return asRow({ program, threads, times, tokens: ROWS * LENGTH, difference });
  } finally {
    await trainer.close();
    await plain.close();
  }
}

async function decodeSteps(config: ModelConfig, threads: number): Promise<Row> {
  const model = await modelDecode(config, threads);
  const plain = await plainDecode(config, threads);
  try {
    const [ours, theirs] = [await model.run(), await plain.run()];
    const difference = Math.max(...ours.map((logit, i) => Math.abs(logit - theirs[i]!)));
    const times = await inTurn(
      { ours: model.run, plain: plain.run },
      { rounds: roundsOf(config), calls: 20 },
    );
    const program = `decode step, ${nameOf(config)}, ${SEQUENCES} of ${CAPACITY}`;
    return asRow({ program, threads, times, tokens: SEQUENCES, difference });
  } finally {
    await model.close();
    await plain.close();
  }
}

interface Compared {
  readonly program: string;
  readonly threads: number;
  readonly times: { readonly ours: number[]; readonly plain: number[] };
  /** Tokens that one call computes. */
  readonly tokens: number;
  readonly difference: number;
}

const asRow = ({ program, threads, times: { ours, plain }, tokens, difference }: Compared): Row => ({
  program,
  threads,
  'median ms': median(ours),
  'best ms': Math.min(...ours),
  'tokens/s': Math.round((tokens / median(ours)) * 1000),
  'plain median ms': median(plain),
  'best ms of plain': Math.min(...plain),
  'plain : ours': ratio(ours, plain),
  'differ by': difference.toExponential(1),
});

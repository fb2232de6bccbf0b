/** A batch as micro-batches on one-thread workers, against ONNX Runtime's own threads within one session. */
import { onnxEngine, onnxPool } from '@rlhf-streams/tensor';
import type { Measurement, Row } from './measurement.js';
import { nameOf, small } from './models.js';
import { inTurn, median, ratio } from './timing.js';
import { microBatches as cut, LEARNING_RATE, languageModelTrainer, NEXT_TOKEN } from './training-batch.js';

/** A batch that three workers, two and one can share evenly. */
const ROWS = 48;
const LENGTH = 64;
const WORKERS = [1, 2, 3] as const;
const ROUNDS = 5;

export const microBatches: Measurement = {
  name: 'micro-batches',
  about: `updates on ${ROWS} x ${LENGTH} tokens, ${nameOf(small)} parameters: workers of one thread against a session of two`,
  async run() {
    const session = await updates(onnxEngine({ threads: 2 }), 16);
    const pools = await Promise.all(WORKERS.map((workers) => updates(onnxPool({ workers }), 8)));
    const name = (workers: number) =>
      `${workers} ${workers === 1 ? 'worker' : 'workers'}, micro-batches of 8`;
    const SESSION = 'a session of 2 threads, of 16';
    const variants = Object.fromEntries([
      [SESSION, session.run],
      ...pools.map(({ run }, i) => [name(WORKERS[i]!), run]),
    ]);
    try {
      const times = await inTurn(variants, { rounds: ROUNDS });
      const rows = Object.keys(variants).map((variant): Row => {
        const milliseconds = median(times[variant]!);
        return {
          variant,
          'median ms': milliseconds,
          'best ms': Math.min(...times[variant]!),
          'tokens/s': Math.round((ROWS * LENGTH * 1000) / milliseconds),
          'speed : session': ratio(times[variant]!, times[SESSION]!),
        };
      });
      const [first, ...others] = await Promise.all(pools.map(({ weights }) => weights()));
      const equal = others.every((weights) => weights.equals(first!));
      const verdict = equal ? 'the same bits' : 'DIFFERENT bits';
      return {
        rows,
        notes: [`After ${2 * ROUNDS} updates, ${WORKERS.join(', ')} workers hold ${verdict} as weights.`],
      };
    } finally {
      await Promise.all([session, ...pools].map(({ close }) => close()));
    }
  },
};

async function updates(engine: ReturnType<typeof onnxPool>, size: number) {
  const trainer = await languageModelTrainer(small, engine, { rows: size, length: LENGTH });
  const batches = cut(small, ROWS, LENGTH, size);
  const options = { normaliser: ROWS * LENGTH, learningRate: LEARNING_RATE };
  return {
    run: () => trainer.update(NEXT_TOKEN, batches, options),
    weights: async () => {
      const { p } = await trainer.state();
      return Buffer.concat(Object.values(p).map(({ buffer }) => Buffer.from(buffer as ArrayBuffer)));
    },
    async close() {
      await trainer.close();
      await engine.close();
    },
  };
}

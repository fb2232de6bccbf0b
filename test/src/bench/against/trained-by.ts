/** Updates of a language model by the trainer of a build: what its own bench measures. */
import type { ModelConfig } from '@rlhf-streams/model';
import type { Engine } from '@rlhf-streams/tensor';
import { timed } from '../timing.js';
import type { Opened } from './channel.js';
import { importBench, importFrom } from './import-from.js';
import { smallShape, type Training } from './workload.js';

type Present = typeof import('../training-batch.js');

/** Builds from before engines kept state: the trainer was told how many workers there are, and with each update its loss. */
interface Before extends Pick<Present, 'microBatches'> {
  languageModelTrainer(config: ModelConfig, engine: Engine, lanes: number): Promise<TrainerBefore>;
  nextTokenLoss(config: ModelConfig): unknown;
}

interface TrainerBefore {
  update(program: unknown, batches: ReturnType<Present['microBatches']>, options: object): Promise<unknown>;
  close(): Promise<void>;
}

export async function openTraining(root: string, workload: Training): Promise<Opened> {
  const { shape, rows, length, threads, learningRate, updates } = workload;
  const models = await importBench<typeof import('../models.js')>(root, 'models.js');
  const config = shape.width === smallShape.width ? models.small : models.big;
  const { onnxPool } = await importFrom<typeof import('@rlhf-streams/tensor')>(root, '@rlhf-streams/tensor');
  const bench = await importBench<Present | Before>(root, 'training-batch.js');
  const engine = onnxPool({ workers: threads });
  const size = rows / threads;
  const batches = bench.microBatches(config, rows, length, size);
  const options = { normaliser: rows * length, learningRate };

  const open = async () => {
    if ('NEXT_TOKEN' in bench) {
      const trainer = await bench.languageModelTrainer(config, engine, { rows: size, length });
      return { update: () => trainer.update(bench.NEXT_TOKEN, batches, options), close: trainer.close };
    }
    const trainer = await bench.languageModelTrainer(config, engine, threads);
    const loss = bench.nextTokenLoss(config);
    return { update: () => trainer.update(loss, batches, options), close: trainer.close };
  };
  const { update, close } = await open();
  return {
    async run() {
      await update();
      const total = await timed(async () => {
        for (let i = 0; i < updates; i++) await update();
      });
      return total / updates;
    },
    async close() {
      await close();
      await engine.close();
    },
  };
}

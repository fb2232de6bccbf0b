/** Updates of a language model by the trainer of a build. */
import { timed } from '../timing.js';
import type { Opened } from './channel.js';
import { importBench, importFrom } from './import-from.js';
import { smallShape, type Training } from './workload.js';

type TrainingBatch = typeof import('../training-batch.js');

export async function openTraining(root: string, workload: Training): Promise<Opened> {
  const { shape, rows, length, threads, learningRate, updates } = workload;
  const models = await importBench<typeof import('../models.js')>(root, 'models.js');
  const config = shape.width === smallShape.width ? models.small : models.big;
  const { onnxPool } = await importFrom<typeof import('@rlhf-streams/tensor')>(root, '@rlhf-streams/tensor');
  const { languageModelTrainer, microBatches, nextTokenLoss } = await importBench<TrainingBatch>(
    root,
    'training-batch.js',
  );
  const engine = onnxPool({ workers: threads });
  const trainer = await languageModelTrainer(config, engine, threads);
  const program = nextTokenLoss(config);
  const batches = microBatches(config, rows, length, rows / threads);
  const update = () => trainer.update(program, batches, { normaliser: rows * length, learningRate });
  return {
    async run() {
      await update();
      const total = await timed(async () => {
        for (let i = 0; i < updates; i++) await update();
      });
      return total / updates;
    },
    async close() {
      await trainer.close();
      await engine.close();
    },
  };
}

/** A compute thread that scores whole sequences with frozen models. */
import { workerData } from 'node:worker_threads';
import {
  expectKind,
  type ModelConfig,
  type ModelKind,
  requireMemory,
  type Scorer,
  type SequenceItem,
  scoringBytes,
} from '@rlhf-streams/model';
import { type Engine, type Frozen, onnxEngine } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';
import { openEngine } from './engine.js';
import { type ModelThread, perBase, type ThreadOptions, threadModels } from './models.js';

export interface ScoringThread<Item extends SequenceItem, Result> extends ModelThread {
  /** One result an item, in their order. @throws ModelError MODEL_SEQUENCE_LENGTH when one of them does not fit. */
  readonly score: (key: string, items: readonly Item[]) => Promise<Result[]>;
}

export interface ScoringOptions<Item extends SequenceItem, Result> {
  /** What the models are for: `reference`. */
  readonly role: string;
  /** The kind of models that can be that. */
  readonly kind: ModelKind;
  readonly create: (engine: Engine, config: ModelConfig, frozen: Frozen) => Scorer<Item, Result>;
}

/** Serves a `ScoringThread<Item, Result>`: called by the module that the thread runs, and awaited there. */
export async function serveScoring<Item extends SequenceItem, Result>({
  role,
  kind,
  create,
}: ScoringOptions<Item, Result>): Promise<void> {
  const { compute, threads } = workerData as ThreadOptions;
  const engine = await openEngine(compute, onnxEngine);
  const open = perBase(
    (config, frozen) => create(engine, config, frozen),
    (scorer) => scorer.dispose(),
  );
  const models = threadModels({
    admit: ({ config }, memoryBytes) => {
      expectKind(role, kind, config);
      requireMemory(`the ${role}`, scoringBytes(config, { length: 1, threads }), memoryBytes);
    },
    open,
    close: ({ leave }) => leave(),
  });
  const api: ScoringThread<Item, Result> = {
    ...models.calls,
    score(key, items) {
      const { made, weights } = models.of(key);
      return made.score(items, weights);
    },
  };
  serve(api);
}

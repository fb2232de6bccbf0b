/** A compute thread that scores whole sequences with frozen models. */
import {
  expectKind,
  type ModelConfig,
  type ModelKind,
  requireMemory,
  scoringBytes,
} from '@rlhf-streams/model';
import type { Buffers, Engine } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';
import { type ModelThread, openEngine, perShape, threadModels } from './models.js';

/** A sequence, with whatever else its score depends on. */
export interface SequenceItem {
  readonly tokens: readonly number[];
}

export interface ScoringThread<Item extends SequenceItem, Result> extends ModelThread {
  /** One result an item, in their order. @throws ModelError MODEL_SEQUENCE_LENGTH when one of them does not fit. */
  readonly score: (key: string, items: readonly Item[]) => Promise<Result[]>;
}

/** Scores items with a model of the shape it was made for: one result an item, in their order. */
export type ScoreItems<Item, Result> = (parameters: Buffers, items: readonly Item[]) => Promise<Result[]>;

export interface ScoringOptions<Item, Result> {
  /** What the models are for: `reference`. */
  readonly role: string;
  /** The kind of models that can be that. */
  readonly kind: ModelKind;
  readonly create: (engine: Engine, config: ModelConfig) => ScoreItems<Item, Result>;
}

/** Serves a `ScoringThread<Item, Result>`: called by the module that the thread runs, and awaited there. */
export async function serveScoring<Item extends SequenceItem, Result>({
  role,
  kind,
  create,
}: ScoringOptions<Item, Result>): Promise<void> {
  const engine = await openEngine();
  const scorerOf = perShape((config) => create(engine, config));
  const models = threadModels({
    admit: (config, memoryBytes) => {
      expectKind(role, kind, config);
      requireMemory(`the ${role}`, scoringBytes(config, { length: 1 }), memoryBytes);
    },
    open: ({ config, parameters }) => ({ scorer: scorerOf(config), parameters }),
  });
  const api: ScoringThread<Item, Result> = {
    ...models.calls,
    score: async (key, items) => {
      const { scorer, parameters } = models.of(key);
      return scorer(parameters, items);
    },
  };
  serve(api);
}

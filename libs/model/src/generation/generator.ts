import type { Engine, Frozen } from '@rlhf-streams/tensor';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import { type Batch, createBatch } from './batch.js';
import { type Completion, capacityOf, checkRequest, type GenerationRequest } from './request.js';

/** Generates completions of one model, in any of its versions; or of the models that adapters of one shape make of a base. */
export interface Generator {
  /**
   * Resolves with the completion. The same request gives the same tokens whatever is generated beside it.
   * @throws ModelError MODEL_GENERATION_REQUEST, MODEL_GENERATION_TIMEOUT, MODEL_LOGITS_NOT_FINITE
   */
  generate(request: GenerationRequest): Promise<Completion>;
  /** Requests waiting and under way. */
  readonly pending: number;
  /** Rejects what is pending with MODEL_GENERATION_CLOSED. */
  close(): void;
}

/** Batches that are kept while they have nothing to do: each holds the weights, a cache and programs. */
const KEPT_IDLE = 2;

/**
 * @param engine one thread per session gives rollouts the same bits everywhere: the last bits of ONNX Runtime depend on
 *   its thread count (measured), though not on the rows beside. Further cores are used by further generators.
 * @param options.slots sequences generated side by side; default 32
 * @param options.frozen the tensors that all versions have in common: a base. Requests bring the others
 */
export function createGenerator(
  engine: Engine,
  config: ModelConfig,
  options: { slots?: number; frozen?: Frozen } = {},
): Generator {
  const { slots = 32, frozen } = options;
  /**
   * Batches by the capacity of their KV cache: a short sequence does not pay for the cache of a long one. The least
   * recently used come first.
   */
  const batches = new Map<number, Batch>();
  let pending = 0;
  let running = false;
  let closed = false;

  const batchFor = (capacity: number): Batch => {
    const batch = batches.get(capacity) ?? createBatch(engine, config, { slots, capacity, frozen });
    batches.delete(capacity);
    batches.set(capacity, batch);
    return batch;
  };

  /** A batch that is no longer kept. */
  const takeSpare = (): Batch | undefined => {
    const idle = [...batches].filter(([, batch]) => closed || !batch.busy);
    const [first] = idle.length > (closed ? 0 : KEPT_IDLE) ? idle : [];
    if (!first) return undefined;
    batches.delete(first[0]);
    return first[1];
  };

  const run = async () => {
    if (running) return;
    running = true;
    // Requests made in one turn of the event loop are admitted together.
    await new Promise(setImmediate);
    for (;;) {
      const busy = closed ? [] : [...batches.values()].filter((batch) => batch.busy);
      for (const batch of busy) await batch.advance().catch((error) => batch.fail(error));
      if (busy.length > 0) continue;
      const spare = takeSpare();
      if (!spare) break;
      await spare.dispose();
    }
    running = false;
  };

  return {
    async generate(request) {
      if (closed) throw new ModelError('MODEL_GENERATION_CLOSED', 'the generator is closed');
      checkRequest(config, request);
      pending++;
      try {
        return await new Promise<Completion>((resolve, reject) => {
          const deadline = performance.now() + (request.timeoutMs ?? Number.POSITIVE_INFINITY);
          batchFor(capacityOf(config, request, engine.place)).enqueue({ request, deadline, resolve, reject });
          void run();
        });
      } finally {
        pending--;
      }
    },
    get pending() {
      return pending;
    },
    close() {
      closed = true;
      for (const batch of batches.values())
        batch.fail(new ModelError('MODEL_GENERATION_CLOSED', 'the generator is closed'));
      void run();
    },
  };
}

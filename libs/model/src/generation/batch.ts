/**
 * Continuous batching: sequences are generated side by side, each in a slot, by one decode step a token; the slot of a
 * sequence that ends takes the next waiting request before the following step. All sequences under way belong to one
 * version of the weights: a request for another version waits until the batch has run empty.
 */
import { allocate, type Buffers, type Engine, type Executable } from '@rlhf-streams/tensor';
import { ModelError } from '../errors.js';
import { groupBy } from '../group-by.js';
import type { ModelConfig } from '../model-config.js';
import { tokenLogprobs } from '../sampling/likeliest.js';
import { uniform } from '../sampling/rollout-draws.js';
import { type SampledToken, sampleToken } from '../sampling/sampler.js';
import { createKvCache } from './kv-cache.js';
import { compileDecode, compilePrefill } from './programs.js';
import { bucket, type Completion, type GenerationRequest, type Weights } from './request.js';

/** A request, and the promise that its caller waits for. */
interface Pending {
  readonly request: GenerationRequest;
  readonly deadline: number;
  resolve(completion: Completion): void;
  reject(error: unknown): void;
}

interface Sequence {
  readonly pending: Pending;
  readonly tokens: number[];
  readonly logprobs: number[];
  /** Tokens in the cache: the prompt and all but the newest of `tokens`. */
  cached: number;
}

export interface Batch {
  enqueue(pending: Pending): void;
  readonly busy: boolean;
  /** Drops what was aborted, admits what fits, then generates one token for every sequence under way. */
  advance(): Promise<void>;
  /** Rejects everything waiting and under way. */
  fail(error: unknown): void;
}

/** ONNX Runtime multiplies a matrix of one row by another algorithm, whose last bits differ: programs have two rows. */
const MIN_ROWS = 2;

/** Prompts of one prefill: the smaller program serves where it suffices. A row's numbers do not depend on the others. */
const PREFILL_ROWS = [MIN_ROWS, 8] as const;
const MOST_PREFILL_ROWS = PREFILL_ROWS[1];

/** Slots that must be free before a prefill interrupts sequences under way: one prompt at a time would hold those up. */
const ADMITTED_TOGETHER = 4;

export function createBatch(
  engine: Engine,
  config: ModelConfig,
  options: { slots: number; capacity: number },
): Batch {
  const { capacity } = options;
  const slots = Math.max(options.slots, MIN_ROWS);
  const sequences: (Sequence | undefined)[] = Array.from({ length: slots });
  const waiting: Pending[] = [];
  const cache = createKvCache(config, slots, capacity);
  const ids = new Int32Array(slots);
  const positions = new Int32Array(slots);
  const programs = new Map<string, Promise<{ program: Executable; into: Buffers }>>();
  let weights: Weights | undefined;

  const compiled = (key: string, compile: () => Promise<Executable>) => {
    let entry = programs.get(key);
    if (!entry) {
      entry = compile().then((program) => ({
        program,
        into: Object.fromEntries(
          Object.entries(program.outputs).map(([name, spec]) => [name, allocate(spec)]),
        ),
      }));
      programs.set(key, entry);
    }
    return entry;
  };

  /** Samples the next token of a slot's sequence, and frees the slot when the sequence ends with it. */
  const extend = (slot: number, sequence: Sequence, logits: Float32Array) => {
    const { request, resolve, reject, deadline } = sequence.pending;
    try {
      const { token, logprob } = nextToken(request, sequence.tokens.length, logits);
      sequence.tokens.push(token);
      sequence.logprobs.push(logprob);
      const stopped = request.stopTokens.includes(token) || request.onToken?.(token, logits) === true;
      const full =
        sequence.tokens.length === request.maxNewTokens ||
        request.promptTokens.length + sequence.tokens.length === config.contextLength;
      if (stopped || full) {
        sequences[slot] = undefined;
        resolve({
          tokens: sequence.tokens,
          logprobs: sequence.logprobs,
          finishReason: stopped ? 'stop' : 'length',
        });
      } else if (performance.now() > deadline) throw timedOut(sequence.pending);
    } catch (error) {
      sequences[slot] = undefined;
      reject(error);
    }
  };

  /** Rejects the requests whose signal was aborted, and frees their slots. */
  const dropAborted = () => {
    const drop = ({ request: { signal }, reject }: Pending) => {
      if (!signal?.aborted) return false;
      reject(signal.reason);
      return true;
    };
    waiting.splice(0, waiting.length, ...waiting.filter((pending) => !drop(pending)));
    sequences.forEach((sequence, slot) => {
      if (sequence && drop(sequence.pending)) sequences[slot] = undefined;
    });
  };

  const admit = async () => {
    if (sequences.every((sequence) => !sequence)) weights = waiting[0]?.request.weights;
    const admitted: { slot: number; pending: Pending }[] = [];
    for (let slot = 0; slot < slots; slot++) {
      if (sequences[slot]) continue;
      const next = waiting.findIndex(({ request }) => request.weights.version === weights?.version);
      if (next < 0) break;
      const [pending] = waiting.splice(next, 1);
      if (performance.now() > pending!.deadline) pending!.reject(timedOut(pending!));
      else admitted.push({ slot, pending: pending! });
    }
    // Samples of one prompt share its prefill; prompts of one length bucket are read together.
    const byPrompt = groupBy(admitted, ({ pending }) => pending.request.promptTokens.join());
    const byLength = groupBy(byPrompt.values(), ([first]) =>
      bucket(first!.pending.request.promptTokens.length, config.contextLength),
    );
    for (const [length, groups] of byLength) {
      for (let from = 0; from < groups.length; from += MOST_PREFILL_ROWS) {
        await prefill(length, groups.slice(from, from + MOST_PREFILL_ROWS));
      }
    }
  };

  const prefill = async (length: number, groups: readonly { slot: number; pending: Pending }[][]) => {
    const size = PREFILL_ROWS.find((size) => size >= groups.length)!;
    const { program, into } = await compiled(`prefill ${size} x ${length}`, () =>
      compilePrefill(engine, config, size, length),
    );
    const rows = new Int32Array(size * length);
    const last = new Int32Array(size);
    groups.forEach(([first], row) => {
      const { promptTokens } = first!.pending.request;
      rows.set(promptTokens, row * length);
      last[row] = promptTokens.length - 1;
    });
    const results = await program.run({ ...weights!.parameters, ids: rows, last }, into);
    const logits = results.logits as Float32Array;
    groups.forEach((group, row) => {
      for (const { slot, pending } of group) {
        const cached = pending.request.promptTokens.length;
        cache.store({ outputs: results, row, capacity: length }, { slot, at: 0 }, cached);
        const sequence: Sequence = { pending, tokens: [], logprobs: [], cached };
        sequences[slot] = sequence;
        extend(slot, sequence, logits.subarray(row * config.vocabSize, (row + 1) * config.vocabSize));
      }
    });
  };

  const decode = async () => {
    const { program, into } = await compiled('decode', () => compileDecode(engine, config, slots, capacity));
    sequences.forEach((sequence, slot) => {
      ids[slot] = sequence?.tokens.at(-1) ?? 0;
      positions[slot] = sequence?.cached ?? 0;
    });
    const results = await program.run({ ...weights!.parameters, ids, positions, ...cache.past }, into);
    const logits = results.logits as Float32Array;
    sequences.forEach((sequence, slot) => {
      if (!sequence) return;
      cache.store({ outputs: results, row: slot, capacity: 1 }, { slot, at: sequence.cached }, 1);
      sequence.cached++;
      extend(slot, sequence, logits.subarray(slot * config.vocabSize, (slot + 1) * config.vocabSize));
    });
  };

  return {
    enqueue: (pending) => waiting.push(pending),
    get busy() {
      return waiting.length > 0 || sequences.some(Boolean);
    },
    async advance() {
      dropAborted();
      const free = sequences.filter((sequence) => !sequence).length;
      if (waiting.length > 0 && (free === slots || free >= Math.min(waiting.length, ADMITTED_TOGETHER)))
        await admit();
      if (sequences.some(Boolean)) await decode();
    },
    fail(error) {
      for (const { reject } of waiting.splice(0)) reject(error);
      sequences.forEach((sequence, slot) => {
        sequence?.pending.reject(error);
        sequences[slot] = undefined;
      });
    },
  };
}

function nextToken(
  { given, sampling, key }: GenerationRequest,
  position: number,
  logits: Float32Array,
): SampledToken {
  const token = given?.[position];
  return token === undefined
    ? sampleToken(logits, sampling, uniform(key, position))
    : { token, logprob: tokenLogprobs(logits, token, 0, sampling.temperature || 1).logprob };
}

const timedOut = ({ request }: Pending) =>
  new ModelError(
    'MODEL_GENERATION_TIMEOUT',
    `expected a completion within ${request.timeoutMs} ms: ask for fewer tokens or allow more time`,
  );

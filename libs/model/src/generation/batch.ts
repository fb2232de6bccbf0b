/**
 * Continuous batching: sequences are generated side by side, each in a slot, by one decode step a token; the slot of a
 * sequence that ends takes the next waiting request before the following step.
 *
 * Versions that are adapters on one frozen base are under way side by side: each has its decode step in turn, and to
 * change from one to the next its adapter alone is loaded. All the weights of a model cost too much to be changed at
 * each step: their versions take turns of a generation (`turns.ts`).
 */
import { allocate, type Buffers, type Engine, type Frozen, type Workspace } from '@rlhf-streams/tensor';
import { isModelError, ModelError } from '../errors.js';
import { groupBy } from '../group-by.js';
import type { ModelConfig } from '../model-config.js';
import { uniform } from '../sampling/rollout-draws.js';
import {
  givenToken,
  type NextToken,
  type SampledToken,
  sampleToken,
  softmaxTemperature,
} from '../sampling/sampler.js';
import {
  COPIED_ROWS,
  cacheSpecs,
  copyName,
  DECODE,
  generationPrograms,
  generationState,
  MIN_ROWS,
  PREFILL_ROWS,
  prefillName,
} from './programs.js';
import { bucket, type Completion, type GenerationRequest, type Weights } from './request.js';
import { sharedTurn, wholeTurn } from './turns.js';

/** A request, and the promise that its caller waits for. */
export interface Pending {
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
  /** Gives up what the engine holds; not used afterwards. */
  dispose(): Promise<void>;
}

const MOST_PREFILL_ROWS = Math.max(...PREFILL_ROWS);

/** Slots that must be free before a prefill interrupts sequences under way: one prompt at a time would hold those up. */
const ADMITTED_TOGETHER = 4;

export function createBatch(
  engine: Engine,
  config: ModelConfig,
  options: { slots: number; capacity: number; frozen?: Frozen | undefined },
): Batch {
  const { capacity, frozen } = options;
  const slots = Math.max(options.slots, MIN_ROWS);
  const sequences: (Sequence | undefined)[] = Array.from({ length: slots });
  const waiting: Pending[] = [];
  let opened: Promise<Workspace> | undefined;
  const versionOf = ({ request }: Pending) => request.weights.version;
  /** The version in the workspace; undefined while that is not known. */
  let loaded: string | undefined;
  /**
   * Slots whose cache may hold NaN or infinities. Attention gives the positions behind a sequence's end the weight 0, but
   * 0 times NaN is NaN: such a slot is cleared before it is used again.
   */
  const spoilt = new Set<number>();

  const open = async () => {
    const shape = { slots, capacity };
    const workspace = await engine.open(generationState(config, shape), { ...(frozen && { frozen }) });
    await workspace.add(generationPrograms(config, shape, frozen));
    return workspace;
  };
  /** The workspace with these weights. */
  const workspaceWith = async ({ version, parameters }: Weights): Promise<Workspace> => {
    opened ??= open().catch((error) => {
      opened = undefined;
      throw error;
    });
    const workspace = await opened;
    if (version !== loaded) {
      loaded = undefined;
      await workspace.load(parameters);
      loaded = version;
    }
    return workspace;
  };

  const clearSpoilt = async () => {
    if (spoilt.size === 0) return;
    const cache = cacheSpecs(config, { slots, capacity });
    const zeros = Object.fromEntries(Object.entries(cache).map(([name, spec]) => [name, allocate(spec)]));
    await (await opened)?.load(zeros);
    spoilt.clear();
  };

  /** Samples the next token of a slot's sequence, and frees the slot when the sequence ends with it. */
  const extend = (slot: number, sequence: Sequence, next: NextToken) => {
    const { request, resolve, reject, deadline } = sequence.pending;
    try {
      const { token, logprob } = nextToken(request, sequence.tokens.length, next);
      sequence.tokens.push(token);
      sequence.logprobs.push(logprob);
      const stopped = request.stopTokens.includes(token) || request.onToken?.(token, next.logits) === true;
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
      if (isModelError(error) && error.code === 'MODEL_LOGITS_NOT_FINITE') spoilt.add(slot);
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
    const underWay = sequences.flatMap((sequence) => sequence?.pending ?? []);
    if (underWay.length === 0) await clearSpoilt();
    const free = sequences.flatMap((sequence, slot) => (sequence || spoilt.has(slot) ? [] : [slot]));
    const now = performance.now();
    const late = new Set(waiting.filter(({ deadline }) => now > deadline));
    for (const pending of late) pending.reject(timedOut(pending));
    const onTime = waiting.filter((pending) => !late.has(pending));
    const turn = (config.adapter ? sharedTurn : wholeTurn)(onTime, underWay, free.length, versionOf);
    const chosen = new Set(turn);
    waiting.splice(0, waiting.length, ...onTime.filter((pending) => !chosen.has(pending)));
    const admitted = turn.map((pending, index) => ({ slot: free[index]!, pending }));
    try {
      for (const some of byVersion(admitted, ({ pending }) => pending)) await read(some);
    } catch (error) {
      for (const { pending } of admitted) pending.reject(error);
      throw error;
    }
  };

  /** By version, that of the workspace first, which saves a change. */
  const byVersion = <T>(items: readonly T[], pendingOf: (item: T) => Pending): T[][] =>
    [...groupBy(items, (item) => versionOf(pendingOf(item)))]
      .sort(([a], [b]) => Number(b === loaded) - Number(a === loaded))
      .map(([, some]) => some);

  /** Reads the prompts of requests for one version into their slots. */
  const read = async (admitted: readonly { slot: number; pending: Pending }[]) => {
    // Samples of one prompt share its prefill; prompts of one length bucket are read together.
    const byPrompt = groupBy(
      admitted,
      ({ pending: { request } }) => `${request.promptTokens} at ${request.sampling.temperature}`,
    );
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
    const feeds = {
      ids: new Int32Array(size * length),
      last: new Int32Array(size),
      slot: new Int32Array(size),
      temperature: new Float32Array(size),
    };
    for (let row = 0; row < size; row++) {
      // A program has a fixed number of rows: those that are left repeat the first one.
      const { slot, pending } = (groups[row] ?? groups[0])![0]!;
      const { promptTokens, sampling } = pending.request;
      feeds.ids.set(promptTokens, row * length);
      feeds.last[row] = promptTokens.length - 1;
      feeds.slot[row] = slot;
      feeds.temperature[row] = softmaxTemperature(sampling);
    }
    const workspace = await workspaceWith(groups[0]![0]!.pending.request.weights);
    const next = rowsOf(await workspace.run(prefillName(size, length), feeds));
    await copy(workspace, length, groups);
    groups.forEach((group, row) => {
      for (const { slot, pending } of group) {
        const cached = pending.request.promptTokens.length;
        const sequence: Sequence = { pending, tokens: [], logprobs: [], cached };
        sequences[slot] = sequence;
        extend(slot, sequence, next(row));
      }
    });
  };

  /** Gives the other samples of each prompt what was read into the first one's slot. */
  const copy = async (workspace: Workspace, length: number, groups: readonly { slot: number }[][]) => {
    const pairs = groups.flatMap(([first, ...others]) => others.map(({ slot }) => [first!.slot, slot]));
    for (let begin = 0; begin < pairs.length; begin += COPIED_ROWS) {
      const filled = Array.from({ length: COPIED_ROWS }, (_, i) => pairs[begin + i] ?? pairs[begin]!);
      const from = Int32Array.from(filled, ([from]) => from!);
      const to = Int32Array.from(filled, ([, to]) => to!);
      await workspace.run(copyName(length), { from, to });
    }
  };

  /** A token for the sequences of one version, which are in these slots. */
  const decode = async (stepping: readonly (readonly [slot: number, sequence: Sequence])[]) => {
    const feeds = {
      ids: new Int32Array(slots),
      positions: new Int32Array(slots),
      temperature: new Float32Array(slots).fill(1),
      ...(config.adapter && { stepping: new Int32Array(slots) }),
    };
    // What is computed of sequences of other versions is thrown away, but has a place in the cache: that of their next token.
    sequences.forEach((sequence, slot) => {
      if (sequence) feeds.positions[slot] = sequence.cached;
    });
    for (const [slot, sequence] of stepping) {
      feeds.ids[slot] = sequence.tokens.at(-1)!;
      feeds.temperature[slot] = softmaxTemperature(sequence.pending.request.sampling);
      if (feeds.stepping) feeds.stepping[slot] = 1;
    }
    const workspace = await workspaceWith(stepping[0]![1].pending.request.weights);
    const next = rowsOf(await workspace.run(DECODE, feeds));
    for (const [slot, sequence] of stepping) {
      sequence.cached++;
      extend(slot, sequence, next(slot));
    }
  };

  /** The rows of what a program gives for the next token. */
  const rowsOf = ({ logits, probabilities }: Buffers) => {
    const { vocabSize: V } = config;
    return (row: number): NextToken => ({
      logits: (logits as Float32Array).subarray(row * V, (row + 1) * V),
      probabilities: (probabilities as Float32Array).subarray(row * V, (row + 1) * V),
    });
  };

  return {
    enqueue: (pending) => waiting.push(pending),
    get busy() {
      return waiting.length > 0 || sequences.some(Boolean);
    },
    async advance() {
      dropAborted();
      const isIdle = !sequences.some(Boolean);
      const free = sequences.filter((sequence, slot) => !sequence && !spoilt.has(slot)).length;
      if (waiting.length > 0 && (isIdle || free >= Math.min(waiting.length, ADMITTED_TOGETHER)))
        await admit();
      const underWay = sequences.flatMap((sequence, slot) => (sequence ? [[slot, sequence] as const] : []));
      for (const some of byVersion(underWay, ([, { pending }]) => pending)) await decode(some);
    },
    fail(error) {
      for (const { reject } of waiting.splice(0)) reject(error);
      sequences.forEach((sequence, slot) => {
        sequence?.pending.reject(error);
        sequences[slot] = undefined;
      });
    },
    async dispose() {
      await (await opened)?.dispose();
    },
  };
}

function nextToken(
  { given, sampling, key }: GenerationRequest,
  position: number,
  next: NextToken,
): SampledToken {
  const token = given?.[position];
  return token === undefined
    ? sampleToken(next, sampling, uniform(key, position))
    : givenToken(next, token, sampling);
}

const timedOut = ({ request }: Pending) =>
  new ModelError(
    'MODEL_GENERATION_TIMEOUT',
    `expected a completion within ${request.timeoutMs} ms: ask for fewer tokens or allow more time`,
  );

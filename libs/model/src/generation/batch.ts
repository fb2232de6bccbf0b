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
import { slotsWithin } from '../memory.js';
import type { ModelConfig } from '../model-config.js';
import { type NextToken, softmaxTemperature } from '../sampling/sampler.js';
import { needsLogits, nextToken } from './next-token.js';
import {
  COPIED_ROWS,
  cacheSpecs,
  copyLengths,
  copyName,
  decodeName,
  decodeRows,
  generationPrograms,
  generationState,
  isLaidOut,
  lastRows,
  PART,
  PART_ROWS,
  prefillName,
  prefillRows,
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

/** A request that has a slot. */
interface Admitted {
  readonly slot: number;
  readonly pending: Pending;
}

/** Tokens of the prompt that is common to requests. */
const lengthOf = ([first]: readonly Admitted[]): number => first!.pending.request.promptTokens.length;

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

/** Slots that must be free before a prefill interrupts sequences under way: one prompt at a time would hold those up. */
const ADMITTED_TOGETHER = 4;

export function createBatch(
  engine: Engine,
  config: ModelConfig,
  options: { slots: number; capacity: number; frozen?: Frozen | undefined },
): Batch {
  const { frozen } = options;
  const inParts = isLaidOut(frozen);
  // The last part of a prompt is padded: it has places for that.
  const capacity = inParts ? Math.ceil(options.capacity / PART) * PART : options.capacity;
  const slots = slotsWithin(config, options.slots, capacity);
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
      const stopped = request.stopTokens.includes(token) || request.onToken?.(token, next.logits!) === true;
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
  const read = async (admitted: readonly Admitted[]) => {
    // Samples of one prompt share its prefill; prompts of one length bucket are read together.
    const byPrompt = groupBy(
      admitted,
      ({ pending: { request } }) => `${request.promptTokens} at ${request.sampling.temperature}`,
    );
    const groups = [...byPrompt.values()];
    if (inParts) {
      const most = Math.max(...PART_ROWS);
      // Long ones are read beside long ones.
      groups.sort((a, b) => lengthOf(a) - lengthOf(b));
      for (let from = 0; from < groups.length; from += most) await readParts(groups.slice(from, from + most));
      return;
    }
    for (const [length, some] of groupBy(groups, (group) => bucket(lengthOf(group), config.contextLength))) {
      const most = Math.max(...prefillRows(length));
      for (let from = 0; from < some.length; from += most)
        await readWhole(length, some.slice(from, from + most));
    }
  };

  const readWhole = async (length: number, groups: readonly Admitted[][]) => {
    const rows = prefillRows(length).find((rows) => rows >= groups.length)!;
    await begin(groups, await prefill(groups, rows, length));
  };

  /** Reads prompts part by part, side by side. */
  const readParts = async (groups: readonly Admitted[][]) => {
    const next: NextToken[] = [];
    for (let from = 0; groups.some((group) => lengthOf(group) > from); from += PART) {
      const left = groups.filter((group) => lengthOf(group) > from);
      const rows = PART_ROWS.find((rows) => rows >= left.length)!;
      const read = await prefill(left, rows, PART, from);
      left.forEach((group, row) => {
        if (lengthOf(group) <= from + PART) next[groups.indexOf(group)] = read(row);
      });
    }
    await begin(groups, (row) => next[row]!);
  };

  /** Reads tokens of prompts from `from` on, `length` at most, into the slots of the first samples of each. */
  const prefill = async (groups: readonly Admitted[][], rows: number, length: number, from = 0) => {
    const feeds = {
      ids: new Int32Array(rows * length),
      slot: new Int32Array(rows),
      last: new Int32Array(inParts ? lastRows(rows) : rows),
      temperature: new Float32Array(inParts ? lastRows(rows) : rows).fill(1),
      ...(inParts && { positions: new Int32Array(rows).fill(from) }),
    };
    for (let row = 0; row < rows; row++) {
      // A program has a fixed number of rows: those that are left repeat the first one.
      const { slot, pending } = (groups[row] ?? groups[0])![0]!;
      const { promptTokens, sampling } = pending.request;
      const tokens = promptTokens.slice(from, from + length);
      feeds.ids.set(tokens, row * length);
      // Parts count tokens from that of the first row on.
      feeds.last[row] = (inParts ? row * length : 0) + tokens.length - 1;
      feeds.slot[row] = slot;
      feeds.temperature[row] = softmaxTemperature(sampling);
    }
    const { request } = groups[0]![0]!.pending;
    const workspace = await workspaceWith(request.weights);
    return distributions(workspace, prefillName(rows, length), feeds, groups.flat());
  };

  /** Begins the sequences of prompts that were read, with what comes next after each. */
  const begin = async (groups: readonly Admitted[][], next: (row: number) => NextToken) => {
    const pairs = groups.flatMap((group) =>
      group.slice(1).map(({ slot }) => ({ from: group[0]!.slot, to: slot, length: lengthOf(group) })),
    );
    await copy(pairs);
    groups.forEach((group, row) => {
      for (const { slot, pending } of group) {
        const sequence: Sequence = { pending, tokens: [], logprobs: [], cached: lengthOf(group) };
        sequences[slot] = sequence;
        extend(slot, sequence, next(row));
      }
    });
  };

  /** Gives slots what others have in their first places, `length` at least. */
  const copy = async (copies: readonly { from: number; to: number; length: number }[]) => {
    if (copies.length === 0) return;
    const most = Math.max(...copies.map(({ length }) => length));
    const length = copyLengths(capacity, frozen).find((length) => length >= most)!;
    const workspace = await opened!;
    const pairs = copies.map(({ from, to }) => [from, to] as const);
    for (let begin = 0; begin < pairs.length; begin += COPIED_ROWS) {
      const filled = Array.from({ length: COPIED_ROWS }, (_, i) => pairs[begin + i] ?? pairs[begin]!);
      const from = Int32Array.from(filled, ([from]) => from);
      const to = Int32Array.from(filled, ([, to]) => to);
      await workspace.run(copyName(length), { from, to });
    }
  };

  /** A token for the sequences of one version, which are in these slots. */
  const decode = async (stepping: readonly (readonly [slot: number, sequence: Sequence])[]) => {
    const last = Math.max(...stepping.map(([slot]) => slot));
    const rows = decodeRows(slots, frozen).find((rows) => rows > last)!;
    const feeds = {
      ids: new Int32Array(rows),
      positions: new Int32Array(rows),
      temperature: new Float32Array(rows).fill(1),
      ...(config.adapter && { stepping: new Int32Array(rows) }),
    };
    // What is computed of sequences of other versions is thrown away, but has a place in the cache: that of their next token.
    sequences.slice(0, rows).forEach((sequence, slot) => {
      if (sequence) feeds.positions[slot] = sequence.cached;
    });
    for (const [slot, sequence] of stepping) {
      feeds.ids[slot] = sequence.tokens.at(-1)!;
      feeds.temperature[slot] = softmaxTemperature(sequence.pending.request.sampling);
      if (feeds.stepping) feeds.stepping[slot] = 1;
    }
    const workspace = await workspaceWith(stepping[0]![1].pending.request.weights);
    const underWay = stepping.map(([, sequence]) => sequence);
    const next = await distributions(workspace, decodeName(rows), feeds, underWay);
    for (const [slot, sequence] of stepping) {
      sequence.cached++;
      extend(slot, sequence, next(slot));
    }
  };

  /** Runs a program for requests: the rows of what it gives for the next token. Logits are large, and few ask for them. */
  const distributions = async (
    workspace: Workspace,
    program: string,
    feeds: Buffers,
    asking: readonly { readonly pending: Pending }[],
  ) => {
    const isAsked = asking.some(({ pending }) => needsLogits(pending.request));
    const { logits, probabilities } = await workspace.run(program, feeds, [
      'probabilities',
      ...(isAsked ? ['logits'] : []),
    ]);
    const { vocabSize: V } = config;
    const rowOf = (values: Buffers[string], row: number) =>
      (values as Float32Array).subarray(row * V, (row + 1) * V);
    return (row: number): NextToken => ({
      probabilities: rowOf(probabilities!, row),
      ...(logits && { logits: rowOf(logits, row) }),
    });
  };

  /** Moves sequences to lower slots where a decode step of fewer rows can have them all then. */
  const moveTogether = async () => {
    const taken = sequences.flatMap((sequence, slot) => (sequence ? [slot] : []));
    const rowsFor = (count: number) => decodeRows(slots, frozen).find((rows) => rows >= count)!;
    const rows = rowsFor(taken.length);
    if (taken.length === 0 || rows === rowsFor(taken.at(-1)! + 1)) return;
    const free = Array.from({ length: rows }, (_, slot) => slot).filter(
      (slot) => !sequences[slot] && !spoilt.has(slot),
    );
    const behind = taken.filter((slot) => slot >= rows);
    if (free.length < behind.length) return;
    const moves = behind.map((from, i) => ({ from, to: free[i]!, length: sequences[from]!.cached }));
    await copy(moves);
    for (const { from, to } of moves) {
      sequences[to] = sequences[from];
      sequences[from] = undefined;
    }
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
      await moveTogether();
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

const timedOut = ({ request }: Pending) =>
  new ModelError(
    'MODEL_GENERATION_TIMEOUT',
    `expected a completion within ${request.timeoutMs} ms: ask for fewer tokens or allow more time`,
  );

/**
 * Continuous batching: sequences are generated side by side, each in a slot, by one decode step a token; the slot of a
 * sequence that ends takes the next waiting request before the following step.
 *
 * Versions that are adapters on one frozen base are under way side by side: each has its decode step in turn, and to
 * change from one to the next its adapter alone is loaded. All the weights of a model cost too much to be changed at
 * each step: their versions take turns of a generation (`turns.ts`).
 */
import type { Engine, Frozen, Workspace } from '@rlhf-streams/tensor';
import { isModelError, ModelError } from '../errors.js';
import { groupBy } from '../group-by.js';
import type { ModelConfig } from '../model-config.js';
import { CLEAR, COPIED_ROWS, copyName } from './cache.js';
import { type Admitted, cachedOf, type Draw, lengthOf, type Pending, type Sequence } from './decoding.js';
import { deviceDecoding } from './on-device.js';
import { hostDecoding } from './on-host.js';
import { mostTokens, type Weights } from './request.js';
import { sharedTurn, wholeTurn } from './turns.js';

export interface Batch {
  enqueue(pending: Pending): void;
  readonly busy: boolean;
  /** Drops what was aborted, admits what fits, then generates some tokens for every sequence under way. */
  advance(): Promise<void>;
  /** Rejects everything waiting and under way. */
  fail(error: unknown): void;
  /** Gives up what the engine holds; not used afterwards. */
  dispose(): Promise<void>;
}

/** Slots that must be free before a prefill interrupts sequences under way: one prompt at a time would hold those up. */
const ADMITTED_TOGETHER = 4;

/** Turns that a batch remembers: a version that had none of them comes first, as a new one does. */
const MOST_SERVED = 64;

export function createBatch(
  engine: Engine,
  config: ModelConfig,
  options: { slots: number; capacity: number; frozen?: Frozen | undefined },
): Batch {
  const { frozen } = options;
  const decoding = (engine.place === 'device' ? deviceDecoding : hostDecoding)(config, options);
  const { slots } = decoding.shape;
  const sequences: (Sequence | undefined)[] = Array.from({ length: slots });
  const waiting: Pending[] = [];
  let opened: Promise<Workspace> | undefined;
  const versionOf = ({ request }: Pending) => request.weights.version;
  /** The version of each of the last turns, the latest one last. */
  let served: readonly string[] = [];
  /** The version in the workspace; undefined while that is not known. */
  let loaded: string | undefined;
  /**
   * Slots whose cache may hold NaN or infinities. Attention gives the positions behind a sequence's end the weight 0, but
   * 0 times NaN is NaN: such a slot is cleared before it is used again.
   */
  const spoilt = new Set<number>();

  const open = async () => {
    const workspace = await engine.open(decoding.state, { ...(frozen && { frozen }) });
    await workspace.add(decoding.programs);
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
    for (const slot of spoilt) {
      await (await opened)?.run(CLEAR, { slot: Int32Array.of(slot) });
      spoilt.delete(slot);
    }
  };

  /** Gives a slot's sequence its next token, and frees the slot when the sequence ends with it. */
  const extend = (slot: number, sequence: Sequence, { draw, logits }: Draw) => {
    const { request, resolve, reject, deadline } = sequence.pending;
    try {
      const { token, logprob } = draw();
      // It has ended with an earlier token of the same steps.
      if (sequences[slot] !== sequence) return;
      request.signal?.throwIfAborted();
      sequence.tokens.push(token);
      sequence.logprobs.push(logprob);
      const stopped =
        request.stopTokens.includes(token) ||
        request.onToken?.(token, request.logits ? logits : undefined) === true;
      if (stopped || sequence.tokens.length === mostTokens(config, request)) {
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
    await clearSpoilt();
    const free = sequences.flatMap((sequence, slot) => (sequence ? [] : [slot]));
    const now = performance.now();
    const late = new Set(waiting.filter(({ deadline }) => now > deadline));
    for (const pending of late) pending.reject(timedOut(pending));
    const onTime = waiting.filter((pending) => !late.has(pending));
    const turn = (config.adapter ? sharedTurn : wholeTurn)(onTime, underWay, free.length, versionOf, served);
    served = [...served, ...turn.map(versionOf)].slice(-MOST_SERVED);
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

  /** Reads the prompts of requests for one version into their slots, and begins their sequences. */
  const read = async (admitted: readonly Admitted[]) => {
    const workspace = await workspaceWith(admitted[0]!.pending.request.weights);
    const prompts = await decoding.read(workspace, admitted);
    await copy(
      prompts.flatMap(({ samples: [first, ...others] }) =>
        others.map(({ slot }) => ({ from: first!.slot, to: slot, length: lengthOf([first!]) })),
      ),
    );
    for (const { samples, next } of prompts)
      for (const { slot, pending } of samples) {
        const sequence: Sequence = { pending, tokens: [], logprobs: [] };
        sequences[slot] = sequence;
        if (next) extend(slot, sequence, next(pending.request));
      }
  };

  /** Gives slots what others have in their first places, `length` at least. */
  const copy = async (copies: readonly { from: number; to: number; length: number }[]) => {
    if (copies.length === 0) return;
    const most = Math.max(...copies.map(({ length }) => length));
    const length = decoding.copyLengths.find((length) => length >= most)!;
    const workspace = await opened!;
    const pairs = copies.map(({ from, to }) => [from, to] as const);
    for (let begin = 0; begin < pairs.length; begin += COPIED_ROWS) {
      const filled = Array.from({ length: COPIED_ROWS }, (_, i) => pairs[begin + i] ?? pairs[begin]!);
      const from = Int32Array.from(filled, ([from]) => from);
      const to = Int32Array.from(filled, ([, to]) => to);
      await workspace.run(copyName(length), { from, to });
    }
  };

  /** Some tokens for the sequences of one version, which are in these slots. */
  const decode = async (stepping: readonly number[]) => {
    const workspace = await workspaceWith(sequences[stepping[0]!]!.pending.request.weights);
    for (const { slot, sequence, ...drawn } of await decoding.step(workspace, sequences, stepping))
      extend(slot, sequence, drawn);
  };

  /** Moves sequences to lower slots where a decode step of fewer rows can have them all then. */
  const moveTogether = async () => {
    const taken = sequences.flatMap((sequence, slot) => (sequence ? [slot] : []));
    const rowsFor = (count: number) => decoding.rows.find((rows) => rows >= count)!;
    const rows = rowsFor(taken.length);
    if (taken.length === 0 || rows === rowsFor(taken.at(-1)! + 1)) return;
    const free = Array.from({ length: rows }, (_, slot) => slot).filter(
      (slot) => !sequences[slot] && !spoilt.has(slot),
    );
    const behind = taken.filter((slot) => slot >= rows);
    if (free.length < behind.length) return;
    const moves = behind.map((from, i) => ({ from, to: free[i]!, length: cachedOf(sequences[from]!) }));
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
      const underWay = [...sequences.keys()].filter((slot) => sequences[slot]);
      for (const some of byVersion(underWay, (slot) => sequences[slot]!.pending)) await decode(some);
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

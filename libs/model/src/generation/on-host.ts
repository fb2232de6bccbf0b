/** Decoding where the host draws the tokens: each step gives it the distributions of the next ones. */
import type { Buffers, Frozen, Workspace } from '@rlhf-streams/tensor';
import { groupBy } from '../group-by.js';
import { slotsWithin } from '../memory.js';
import type { ModelConfig } from '../model-config.js';
import { type NextToken, softmaxTemperature } from '../sampling/sampler.js';
import { generationState } from './cache.js';
import { type Admitted, cachedOf, type Decoding, lengthOf, newestOf, type ReadPrompt } from './decoding.js';
import { needsLogits, nextToken } from './next-token.js';
import {
  copyLengths,
  decodeName,
  decodeRows,
  generationPrograms,
  isLaidOut,
  lastRows,
  PART,
  PART_ROWS,
  prefillName,
  prefillRows,
} from './programs.js';
import { bucket, type GenerationRequest } from './request.js';

export function hostDecoding(
  config: ModelConfig,
  options: { slots: number; capacity: number; frozen?: Frozen | undefined },
): Decoding {
  const { frozen } = options;
  const inParts = isLaidOut(frozen);
  // The last part of a prompt is padded: it has places for that.
  const capacity = inParts ? Math.ceil(options.capacity / PART) * PART : options.capacity;
  const shape = { slots: slotsWithin(config, options.slots, capacity), capacity };
  const rows = decodeRows(shape.slots, frozen);

  /** Runs a program for requests: the rows of what it gives for the next token. Logits are large, and few ask for them. */
  const distributions = async (
    workspace: Workspace,
    program: string,
    feeds: Buffers,
    asking: readonly GenerationRequest[],
  ) => {
    const { logits, probabilities } = await workspace.run(program, feeds, [
      'probabilities',
      ...(asking.some(needsLogits) ? ['logits'] : []),
    ]);
    const { vocabSize: V } = config;
    const rowOf = (values: Buffers[string], row: number) =>
      (values as Float32Array).subarray(row * V, (row + 1) * V);
    return (row: number): NextToken => ({
      probabilities: rowOf(probabilities!, row),
      ...(logits && { logits: rowOf(logits, row) }),
    });
  };

  /** Reads tokens of prompts from `from` on, `length` at most, into the slots of the first samples of each. */
  const prefill = (
    workspace: Workspace,
    groups: readonly Admitted[][],
    { rows, length, from = 0 }: { rows: number; length: number; from?: number },
  ) => {
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
    const asking = groups.flat().map(({ pending }) => pending.request);
    return distributions(workspace, prefillName(rows, length), feeds, asking);
  };

  const readWhole = async (workspace: Workspace, length: number, groups: readonly Admitted[][]) => {
    const rows = prefillRows(length).find((rows) => rows >= groups.length)!;
    const next = await prefill(workspace, groups, { rows, length });
    return groups.map((samples, row) => readPrompt(samples, next(row)));
  };

  /** Reads prompts part by part, side by side. */
  const readParts = async (workspace: Workspace, groups: readonly Admitted[][]) => {
    const next: NextToken[] = [];
    for (let from = 0; groups.some((group) => lengthOf(group) > from); from += PART) {
      const left = groups.filter((group) => lengthOf(group) > from);
      const rows = PART_ROWS.find((rows) => rows >= left.length)!;
      const read = await prefill(workspace, left, { rows, length: PART, from });
      left.forEach((group, row) => {
        if (lengthOf(group) <= from + PART) next[groups.indexOf(group)] = read(row);
      });
    }
    return groups.map((samples, row) => readPrompt(samples, next[row]!));
  };

  return {
    shape,
    state: generationState(config, shape),
    programs: generationPrograms(config, shape, frozen),
    rows,
    copyLengths: copyLengths(capacity, frozen),
    async read(workspace, admitted) {
      // Samples of one prompt share its prefill; prompts of one length bucket are read together.
      const byPrompt = groupBy(
        admitted,
        ({ pending: { request } }) => `${request.promptTokens} at ${request.sampling.temperature}`,
      );
      const groups = [...byPrompt.values()];
      const read: ReadPrompt[] = [];
      if (inParts) {
        const most = Math.max(...PART_ROWS);
        // Long ones are read beside long ones.
        groups.sort((a, b) => lengthOf(a) - lengthOf(b));
        for (let from = 0; from < groups.length; from += most)
          read.push(...(await readParts(workspace, groups.slice(from, from + most))));
        return read;
      }
      for (const [length, some] of groupBy(groups, (group) =>
        bucket(lengthOf(group), config.contextLength),
      )) {
        const most = Math.max(...prefillRows(length));
        for (let from = 0; from < some.length; from += most)
          read.push(...(await readWhole(workspace, length, some.slice(from, from + most))));
      }
      return read;
    },
    async step(workspace, sequences, stepping) {
      const count = rows.find((rows) => rows > Math.max(...stepping))!;
      const feeds = {
        ids: new Int32Array(count),
        positions: new Int32Array(count),
        temperature: new Float32Array(count).fill(1),
        ...(config.adapter && { stepping: new Int32Array(count) }),
      };
      // What is computed of sequences of other versions is thrown away, but has a place in the cache: that of their next token.
      sequences.slice(0, count).forEach((sequence, slot) => {
        if (sequence) feeds.positions[slot] = cachedOf(sequence);
      });
      const going = stepping.map((slot) => ({ slot, sequence: sequences[slot]! }));
      for (const { slot, sequence } of going) {
        feeds.ids[slot] = newestOf(sequence);
        feeds.temperature[slot] = softmaxTemperature(sequence.pending.request.sampling);
        if (feeds.stepping) feeds.stepping[slot] = 1;
      }
      const asking = going.map(({ sequence }) => sequence.pending.request);
      const next = await distributions(workspace, decodeName(count), feeds, asking);
      return going.map(({ slot, sequence }) => ({
        slot,
        sequence,
        ...nextToken(sequence.pending.request, sequence.tokens.length, next(slot)),
      }));
    },
  };
}

const readPrompt = (samples: readonly Admitted[], next: NextToken): ReadPrompt => ({
  samples,
  next: (request) => nextToken(request, 0, next),
});

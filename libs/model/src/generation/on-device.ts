/**
 * Decoding on a device that computes beside the host: each step draws its tokens where the logits are and goes on from
 * them, and the host reads what some steps drew together. It gives the random numbers for those in advance, since they
 * depend on the request and the position alone. A sequence that ends within such steps goes on to the last of them, and the
 * host drops what comes after its end: a request gets the same tokens, however many steps are made together.
 */
import type { Frozen, Workspace } from '@rlhf-streams/tensor';
import { ModelError } from '../errors.js';
import { groupBy } from '../group-by.js';
import { slotsOnDevice } from '../memory.js';
import type { ModelConfig } from '../model-config.js';
import { deviceDraw, deviceSettings, isLimited, SETTINGS } from '../sampling/on-device.js';
import { uniform } from '../sampling/rollout-draws.js';
import { doubledLengths } from './cache.js';
import {
  type Admitted,
  cachedOf,
  type Decoding,
  type Drawn,
  lengthOf,
  newestOf,
  type Sequence,
} from './decoding.js';
import {
  COLUMNS,
  devicePrograms,
  deviceState,
  prefillLengths,
  prefillName,
  prefillRows,
  QUEUED,
  stepName,
  stepRows,
  TABLE,
  tableWidth,
} from './device-programs.js';
import { mostTokens } from './request.js';

export function deviceDecoding(
  config: ModelConfig,
  options: { slots: number; capacity: number; frozen?: Frozen | undefined },
): Decoding {
  const { capacity } = options;
  const shape = { slots: slotsOnDevice(config, options.slots, capacity), capacity };
  const rows = stepRows(shape.slots);
  const table = new Float32Array(shape.slots * tableWidth);
  const leftOf = ({ pending, tokens }: Sequence) => mostTokens(config, pending.request) - tokens.length;

  /** What the table has of a sequence: a sequence of another version stays where it is. */
  const rowOf = (sequence: Sequence, isLive: boolean): number[] => {
    const { given = [], key, sampling } = sequence.pending.request;
    const { length } = sequence.tokens;
    const position = cachedOf(sequence);
    const last = isLive ? position + leftOf(sequence) - 1 : position;
    const settings = deviceSettings(sampling);
    const queue = Array.from({ length: QUEUED }, (_, i) => [
      deviceDraw(sampling, uniform(key, length + i)),
      given[length + i] ?? -1,
    ]);
    const ofSettings = SETTINGS.map((name) => settings[name]);
    return [newestOf(sequence), position, last, isLive ? 1 : 0, ...ofSettings, ...queue.flat()];
  };

  const prefill = async (workspace: Workspace, length: number, groups: readonly Admitted[][]) => {
    const rows = prefillRows(length).find((rows) => rows >= groups.length)!;
    const ids = new Int32Array(rows * length);
    const slot = new Int32Array(rows);
    for (let row = 0; row < rows; row++) {
      // A program has a fixed number of rows: those that are left repeat the first one.
      const [first] = groups[row] ?? groups[0]!;
      ids.set(first!.pending.request.promptTokens, row * length);
      slot[row] = first!.slot;
    }
    await workspace.run(prefillName(rows, length), { ids, slot });
  };

  return {
    shape,
    state: deviceState(config, shape),
    programs: devicePrograms(config, shape, options.frozen),
    rows,
    copyLengths: doubledLengths(capacity),
    async read(workspace, admitted) {
      const groups = [...groupBy(admitted, ({ pending }) => `${pending.request.promptTokens}`).values()];
      const lengths = prefillLengths(capacity);
      const padded = (group: readonly Admitted[]) => lengths.find((length) => length >= lengthOf(group))!;
      for (const [length, some] of groupBy(groups, padded)) {
        const most = Math.max(...prefillRows(length));
        for (let from = 0; from < some.length; from += most)
          await prefill(workspace, length, some.slice(from, from + most));
      }
      return groups.map((samples) => ({ samples }));
    },
    async step(workspace, sequences, stepping) {
      const count = rows.find((rows) => rows > Math.max(...stepping))!;
      const going = stepping.map((slot) => ({ slot, sequence: sequences[slot]! }));
      table.fill(0);
      // A program divides the rows of free slots, too.
      for (let slot = 0; slot < shape.slots; slot++)
        table[slot * tableWidth + COLUMNS.indexOf('temperature')] = 1;
      const live = new Set(stepping);
      sequences.forEach((sequence, slot) => {
        if (sequence) table.set(rowOf(sequence, live.has(slot)), slot * tableWidth);
      });
      const requests = going.map(({ sequence }) => sequence.pending.request);
      const limited = requests.some(({ sampling }) => isLimited(deviceSettings(sampling)));
      const isTold = requests.some(({ logits }) => logits);
      const steps = isTold ? 1 : Math.min(QUEUED, Math.max(...going.map(({ sequence }) => leftOf(sequence))));
      await workspace.load({ [TABLE]: table });
      const program = stepName(count, limited);
      // Each set of outputs is prepared for itself: the tokens are read from the table.
      let logits: Float32Array | undefined;
      for (let i = 0; i < steps; i++)
        logits = (await workspace.run(program, {}, isTold ? ['logits'] : [])).logits as typeof logits;
      const { [TABLE]: drawn } = await workspace.read([TABLE]);
      return going.flatMap(({ slot, sequence }) =>
        Array.from({ length: steps }, (_, i): Drawn => {
          const pair = (slot + 1) * tableWidth - 2 * (steps - i);
          const [token, logprob] = drawn!.subarray(pair, pair + 2);
          const { vocabSize: V } = config;
          return {
            slot,
            sequence,
            logits: logits?.subarray(slot * V, (slot + 1) * V),
            draw: () => ({ token: token!, logprob: finite(logprob!) }),
          };
        }),
      );
    },
  };
}

/** A log-prob is NaN where not all logits are finite; -Infinity is the log-prob of a given token with such a logit. */
function finite(logprob: number): number {
  if (!Number.isNaN(logprob)) return logprob;
  throw new ModelError(
    'MODEL_LOGITS_NOT_FINITE',
    'Not all logits are finite; the weights have probably diverged, go back to an earlier policy version.',
  );
}

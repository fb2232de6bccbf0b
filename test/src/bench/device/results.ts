/** What came of the cases, and their table. */
import type { Row } from '../measurement.js';
import { median } from '../timing.js';
import type { Case } from './cases.js';

/** What a process says of a case that it measured. */
export interface Measured {
  /** Milliseconds of each call: a step, a prefill, all new tokens. */
  readonly ms: readonly number[];
  /** Tokens of a call. */
  readonly tokens: number;
  /** The first call, in which programs are captured and compiled. */
  readonly firstMs: number;
  /** What PyTorch's allocator gave out at most, in MB. */
  readonly allocatedMb?: number;
  /** The last loss. */
  readonly loss?: number;
  /** How it was computed, where not as named. */
  readonly note?: string;
}

export type Result = { readonly case: Case } & (
  | (Measured & { readonly gpuMb?: number })
  | { readonly failed: string }
  | { readonly notRun: string }
);

type Done = Extract<Result, Measured>;
const isDone = (result: Result): result is Done => 'ms' in result;

const speedOf = ({ tokens, ms }: Measured): number => (tokens * 1000) / median(ms);

/** What the aims compare with: steps and prefills that PyTorch compiled, decode steps captured as a CUDA graph. */
const isReference = ({ by, mode }: Case): boolean => by === 'torch' && mode !== 'eager';

const workOf = ({ kind, model, rows, length, newTokens }: Case): string =>
  `${kind} ${model} ${rows} x ${length}${kind === 'decode' ? ` + ${newTokens}` : ''}`;

const nameOf = ({ by, mode }: Case): string =>
  by === 'torch' ? `PyTorch, ${mode}` : mode === 'xla' ? 'rlhf-streams, XLA' : 'rlhf-streams';

const PRECISIONS = { tf32: 'float32 (TF32)', bf16: 'bf16', strict: 'float32 (strict)' };

/** A row for each case that was measured, works side by side. */
export function rowsOf(results: readonly Result[]): Row[] {
  const done = results.filter(isDone);
  const keyOf = (one: Case) => `${workOf(one)}, ${one.precision}`;
  const order = [...new Set(done.map((result) => keyOf(result.case)))];
  return order.flatMap((key) => {
    const together = done.filter((result) => keyOf(result.case) === key);
    const reference = together.find((result) => isReference(result.case));
    return together.map((result): Row => {
      const { case: one, ms, firstMs, note, gpuMb = Number.NaN } = result;
      return {
        work: workOf(one),
        precision: PRECISIONS[one.precision],
        with: note === undefined ? nameOf(one) : `${nameOf(one)} (${note})`,
        'tokens/s': Math.round(speedOf(result)),
        'median ms': median(ms),
        'best ms': Math.min(...ms),
        'first call s': firstMs / 1000,
        'GPU MB': gpuMb,
        ': compile, graph': reference ? speedOf(result) / speedOf(reference) : Number.NaN,
      };
    });
  });
}

/** The cases that were not measured, each with why. */
export const missingOf = (results: readonly Result[]): string[] =>
  results.flatMap((result) =>
    'failed' in result
      ? [`${result.case.name}: failed: ${result.failed}`]
      : 'notRun' in result
        ? [`${result.case.name}: not run: ${result.notRun}`]
        : [],
  );

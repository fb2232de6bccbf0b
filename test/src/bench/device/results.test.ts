import { expect, it } from 'vitest';
import { onGpu, selected } from './cases.js';
import { missingOf, type Result, rowsOf } from './results.js';

const [compiled] = selected(onGpu, ['train gpt2 8x512 bf16 torch compile']);
const [ours] = selected(onGpu, ['train gpt2 8x512 bf16 ours plain']);
const [late] = selected(onGpu, ['train gpt2 8x512 bf16 ours xla']);
const [float] = selected(onGpu, ['train gpt2 8x512 tf32 ours plain']);
const results: Result[] = [
  { case: ours!, ms: [120, 100, 90], tokens: 4000, firstMs: 5000, gpuMb: 8000 },
  { case: float!, ms: [200], tokens: 4000, firstMs: 5000 },
  { case: late!, failed: 'took longer than 150 s' },
  { case: compiled!, ms: [80, 79, 90], tokens: 4000, firstMs: 30_000, gpuMb: 7000 },
];

it('a table has what was computed of one work side by side, as parts of what PyTorch compiles', () => {
  const rows = rowsOf(results);
  expect(rows.map((row) => [row.with, row.precision, row['tokens/s'], row[': compile, graph']])).toEqual([
    ['rlhf-streams', 'bf16', 40_000, 0.8],
    ['PyTorch, compile', 'bf16', 50_000, 1],
    ['rlhf-streams', 'float32 (TF32)', 20_000, Number.NaN],
  ]);
});

it('what has no number is said by its name, with the reason', () => {
  expect(missingOf(results)).toEqual(['train gpt2 8x512 bf16 ours xla: failed: took longer than 150 s']);
});

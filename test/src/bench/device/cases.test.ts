import { describe, expect, it } from 'vitest';
import { byProcess, type Case, onGpu, selected, tinyOnCpu } from './cases.js';

describe('cases', () => {
  it('have names of their own, all of which can be asked for', () => {
    for (const cases of [onGpu, tinyOnCpu]) {
      const names = cases.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      for (const name of names) expect(selected(cases, [name]).map((one) => one.name)).toContain(name);
    }
  });

  it('are selected by words, in the order of their importance', () => {
    const [first] = selected(onGpu, ['train gpt2 bf16']);
    expect(first?.name).toBe('train gpt2 8x512 bf16 ours plain');
    expect(selected(onGpu, ['train lora'])).toEqual([]);
    const either = selected(onGpu, ['train gpt2 8x512 bf16 xla', 'decode gpt2 256x128 bf16 graph']);
    expect(either.map(({ name }) => name)).toEqual([
      'train gpt2 8x512 bf16 ours xla',
      'decode gpt2 256x128 bf16 torch graph',
    ]);
    expect(selected(onGpu, [])).toEqual(onGpu);
  });

  it('share a process only where settings of the engine are the same', () => {
    const groups = byProcess(onGpu);
    expect(groups.flat()).toEqual(onGpu);
    for (const group of groups) {
      const settings = (one: Case) => (one.by === 'ours' ? `${one.precision} ${one.mode}` : one.by);
      expect(new Set(group.map(settings)).size).toBe(1);
    }
  });

  it('measure the new tokens in a cache that the prompt and they fill', () => {
    for (const { kind, length, newTokens, shape } of onGpu) {
      if (kind === 'train') continue;
      expect(Math.log2(length + newTokens) % 1).toBe(0);
      expect(length + newTokens).toBeLessThanOrEqual(shape.contextLength);
    }
  });
});

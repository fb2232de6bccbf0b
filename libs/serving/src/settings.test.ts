import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  computeSettings,
  engineChoice,
  engineInWords,
  generationSettings,
  policyThreads,
  scoringSettings,
  scoringThreads,
} from './settings.js';

const chosen = (environment: Record<string, string>) => engineChoice(computeSettings.parse(environment));

describe('the engine', () => {
  it('is ONNX Runtime, unless TensorFlow or a GPU is asked for', () => {
    expect(chosen({})).toEqual({ engine: 'onnx' });
    const options = { precision: 'float32', xla: false };
    expect(chosen({ RLHF_ENGINE: 'tensorflow' })).toEqual({ engine: 'tensorflow', device: 'cpu', options });
    expect(chosen({ RLHF_DEVICE: 'cuda', RLHF_PRECISION: 'bf16', RLHF_XLA: 'true' })).toEqual({
      engine: 'tensorflow',
      device: 'cuda',
      options: { precision: 'bf16', xla: true },
    });
  });

  it.each([
    [{}, 'onnx'],
    [{ RLHF_ENGINE: 'tensorflow' }, 'tensorflow, float32'],
    [{ RLHF_ENGINE: 'tensorflow', RLHF_PRECISION: 'bf16', RLHF_XLA: 'true' }, 'tensorflow, bf16, XLA'],
  ])('%o is called %s', (environment, name) => {
    expect(engineInWords(chosen(environment as Record<string, string>))).toBe(name);
  });

  it.each([
    [{ RLHF_ENGINE: 'onnx', RLHF_DEVICE: 'cuda' }, 'RLHF_DEVICE=cuda'],
    [{ RLHF_PRECISION: 'bf16' }, 'RLHF_PRECISION=bf16'],
    [{ RLHF_XLA: 'true' }, 'RLHF_XLA=true'],
  ])('of one kind is not given what the other takes: %o', (environment, named) => {
    expect(() => chosen(environment as Record<string, string>)).toThrow(
      expect.objectContaining({ code: 'RUNTIME_SETTINGS', message: expect.stringContaining(named) }),
    );
  });
});

describe('threads of the services that generate and score', () => {
  it.each([
    [{}, Math.min(4, availableParallelism())],
    [{ RLHF_DEVICE: 'cuda' }, 1],
    [{ RLHF_DEVICE: 'cuda', RLHF_POLICY_THREADS: '3', RLHF_SCORING_THREADS: '3' }, 3],
  ])('with %o are %i', (environment, threads) => {
    expect(policyThreads(generationSettings.parse(environment))).toBe(threads);
    expect(scoringThreads(scoringSettings.parse(environment))).toBe(threads);
  });
});

import { expect, it } from 'vitest';
import { asNodeBackend } from './node-backend.js';

it('a tfjs-node without the methods that run a graph is refused by its version', () => {
  const [loadSavedModelMetaGraph, deleteSavedModel, runSavedModel] = [() => 1, () => {}, () => []];
  const whole = { loadSavedModelMetaGraph, deleteSavedModel, runSavedModel };
  expect(asNodeBackend(whole, '4.22.0')).toBe(whole);
  expect(() =>
    asNodeBackend({ loadSavedModelMetaGraph, deleteSavedModel, runSavedModel: 1 }, '5.0.0'),
  ).toThrow(
    expect.objectContaining({
      code: 'TENSOR_ENGINE_UNAVAILABLE',
      message: expect.stringMatching(
        /got version 5\.0\.0 without runSavedModel\..*npm run install:tensorflow/,
      ),
    }),
  );
});

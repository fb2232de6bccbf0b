import { EvaluationError } from './errors.js';
import type { GoldReward } from './gold-reward.js';

/**
 * Reads a gold reward back from its JSON, given as text or already parsed.
 *
 * Errors: EVALUATION_BAD_GOLD_REWARD, naming the field that is wrong.
 */
export function parseGoldReward(json: unknown): GoldReward {
  const model = typeof json === 'string' ? parseJson(json) : json;
  if (!isRecord(model)) throw bad('the gold reward', 'an object', model);
  const { kind, version, bias, weights, l2, trainedOn, accuracyOnHeldOut } = model;
  if (kind !== 'bag-of-words-logistic') throw bad('kind', '"bag-of-words-logistic"', kind);
  if (version !== 1) throw bad('version', '1', version);
  if (!isRecord(weights)) throw bad('weights', 'an object of numbers', weights);
  for (const [word, weight] of Object.entries(weights))
    requireNumber(`weights[${JSON.stringify(word)}]`, weight);
  const base = {
    kind,
    version,
    bias: requireNumber('bias', bias),
    weights: weights as Record<string, number>,
    l2: requireNumber('l2', l2),
    trainedOn: requireNumber('trainedOn', trainedOn),
  } as const;
  if (accuracyOnHeldOut === undefined) return base;
  if (!isRecord(accuracyOnHeldOut)) throw bad('accuracyOnHeldOut', 'an object', accuracyOnHeldOut);
  const { mean, low, high, n } = accuracyOnHeldOut;
  return {
    ...base,
    accuracyOnHeldOut: {
      mean: requireNumber('accuracyOnHeldOut.mean', mean),
      low: requireNumber('accuracyOnHeldOut.low', low),
      high: requireNumber('accuracyOnHeldOut.high', high),
      n: requireNumber('accuracyOnHeldOut.n', n),
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EvaluationError('EVALUATION_BAD_GOLD_REWARD', 'The gold reward is not valid JSON.', { cause });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function requireNumber(field: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw bad(field, 'a finite number', value);
}

function bad(field: string, expected: string, value: unknown): EvaluationError {
  const got = typeof value === 'object' && value !== null ? 'an object or list' : JSON.stringify(value);
  return new EvaluationError(
    'EVALUATION_BAD_GOLD_REWARD',
    `${field} must be ${expected}, got ${got}: train the gold reward again with trainGoldReward.`,
  );
}

/** RoPE in `config.json`: `rope_parameters` as transformers 5 has it, `rope_theta` and `rope_scaling` as older ones. */
import { z } from 'zod';
import { checked, size } from '../config-json.js';
import type { Rope } from './rope.js';

/** The theta that transformers takes where a file names none. */
export const DEFAULT_THETA = 10_000;

const theta = z.number().positive();
const length = size(2 ** 24);
const parameters = z.looseObject({ rope_theta: theta.optional() }).nullish();

/** Their schemas, for a config's own to be added to. */
export const ropeFields = {
  rope_parameters: parameters,
  rope_scaling: parameters,
  rope_theta: theta.nullish(),
  original_max_position_embeddings: length.nullish(),
};
type RopeFields = z.output<z.ZodObject<typeof ropeFields>> & {
  readonly max_position_embeddings: number;
  readonly partial_rotary_factor?: unknown;
};

const factor = z.number().positive();
const scaling = z.discriminatedUnion('rope_type', [
  z.looseObject({ rope_type: z.literal('default') }),
  z.looseObject({ rope_type: z.literal('linear'), factor }),
  z.looseObject({
    rope_type: z.literal('llama3'),
    factor,
    low_freq_factor: z.number().positive(),
    high_freq_factor: z.number().positive(),
    original_max_position_embeddings: length.optional(),
  }),
]);

/** What is not computed: other types, heads of which a part is turned, and layers that differ. */
const computation = z.looseObject({
  rope_type: z.enum(['default', 'linear', 'llama3']),
  partial_rotary_factor: z.literal(1).nullish(),
  full_attention: z.null().optional(),
  sliding_attention: z.null().optional(),
});

/**
 * What transformers makes of the fields.
 * @throws ModelError MODEL_CONFIG_INVALID, MODEL_CONFIG_UNSUPPORTED
 */
export function parseRope(fields: RopeFields, source: string): Rope {
  const key = fields.rope_scaling ? 'rope_scaling' : 'rope_parameters';
  const given = fields[key] ?? {};
  const named = {
    ...given,
    rope_type: given.rope_type ?? given.type ?? 'default',
    partial_rotary_factor: given.partial_rotary_factor ?? fields.partial_rotary_factor,
  };
  const within = `${source}: ${key}`;
  checked(computation, named, 'MODEL_CONFIG_UNSUPPORTED', within);
  const rope = checked(scaling, named, 'MODEL_CONFIG_INVALID', within);
  const base = { theta: given.rope_theta ?? fields.rope_theta ?? DEFAULT_THETA };
  if (rope.rope_type === 'default') return { ...base, type: 'default' };
  if (rope.rope_type === 'linear') return { ...base, type: 'linear', factor: rope.factor };
  return {
    ...base,
    type: 'llama3',
    factor: rope.factor,
    lowFrequencyFactor: rope.low_freq_factor,
    highFrequencyFactor: rope.high_freq_factor,
    originalContextLength:
      fields.original_max_position_embeddings ??
      rope.original_max_position_embeddings ??
      fields.max_position_embeddings,
  };
}

export const ropeJson = (rope: Rope): Record<string, unknown> => ({
  rope_parameters: {
    rope_theta: rope.theta,
    rope_type: rope.type,
    ...(rope.type !== 'default' && { factor: rope.factor }),
    ...(rope.type === 'llama3' && {
      low_freq_factor: rope.lowFrequencyFactor,
      high_freq_factor: rope.highFrequencyFactor,
      original_max_position_embeddings: rope.originalContextLength,
    }),
  },
});

/** The sources that a configuration names, found by its schema: whoever adds one need not be told of them. */
import { z } from 'zod';
import { sourceKinds } from './sources.js';

/** A model, data or a scorer that is named, not described. */
export interface NamedSource {
  readonly kind: 'model' | 'data' | 'scorer';
  /** Where the configuration names it. */
  readonly path: readonly (string | number)[];
  readonly source: string;
}

/** The sources of a value that fits the schema. */
export const sourcesIn = (schema: z.core.$ZodType, value: unknown): NamedSource[] => find(schema, value, []);

/** The run that a source names, if it names one. */
export const runOf = (source: string): string | undefined =>
  source.startsWith('run:') ? source.slice('run:'.length) : undefined;

function find(schema: z.core.$ZodType, value: unknown, path: NamedSource['path']): NamedSource[] {
  const known = sourceKinds.get(schema);
  if (known) return typeof value === 'string' ? [{ kind: known.kind, path, source: value }] : [];
  if (value === undefined) return [];
  if (schema instanceof z.ZodUnion)
    return schema.options
      .filter((option) => z.safeParse(option, value).success)
      .flatMap((option) => find(option, value, path));
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape).flatMap(([name, inner]) =>
      find(inner, (value as Record<string, unknown>)[name], [...path, name]),
    );
  if (schema instanceof z.ZodArray)
    return (value as unknown[]).flatMap((item, index) => find(schema.element, item, [...path, index]));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return find(schema.def.innerType, value, path);
  return [];
}

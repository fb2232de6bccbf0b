/** The sources that a configuration names, found by its schema, so that a new setting of a source needs no change here. */
import { z } from 'zod';
import type { NewModel } from './new-model.js';
import { sourceKinds } from './source-schemas.js';
import { parseSource, type Source, type SourceKind, sourceText } from './sources.js';

/** A model, data or a scorer, and where a configuration names it. */
export interface NamedSource {
  readonly kind: SourceKind;
  /** Keys from the top of the configuration: `['scorers', 0]`. */
  readonly path: readonly (string | number)[];
  readonly source: Source;
  /** As it was written. */
  readonly text: string;
}

/** The sources of a value that fits the schema. */
export const sourcesIn = (schema: z.core.$ZodType, value: unknown): NamedSource[] => find(schema, value, []);

/** Schemas that hold no others. */
const LEAVES = [z.ZodString, z.ZodNumber, z.ZodBoolean, z.ZodEnum, z.ZodLiteral];

function find(schema: z.core.$ZodType, value: unknown, path: NamedSource['path']): NamedSource[] {
  if (value === undefined) return [];
  const known = sourceKinds.get(schema);
  if (known) {
    const source = parseSource(known.kind, value as string | NewModel);
    return [{ kind: known.kind, path, source, text: sourceText(source) }];
  }
  if (schema instanceof z.ZodUnion) {
    // As a union parses: the first option that fits.
    const option = schema.options.find((option) => z.safeParse(option, value).success);
    return option ? find(option, value, path) : [];
  }
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape).flatMap(([name, inner]) =>
      find(inner, (value as Record<string, unknown>)[name], [...path, name]),
    );
  if (schema instanceof z.ZodArray)
    return (value as unknown[]).flatMap((item, index) => find(schema.element, item, [...path, index]));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return find(schema.def.innerType, value, path);
  // A source that is not found would be read without being checked.
  if (!LEAVES.some((leaf) => schema instanceof leaf))
    throw new Error(
      `expected to know where a ${schema._zod.def.type} schema holds others: add it to named-sources`,
    );
  return [];
}

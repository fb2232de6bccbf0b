/** The settings of a schema as documentation and errors name them: by path, with type, default and meaning. */
import { z } from 'zod';

/**
 * What TRL, transformers or papers call a setting, where that is more than another case of its name: `response_length`
 * is `maxNewTokens` here. An error about an unknown setting points from such a name to the setting.
 */
export const named = z.registry<{ readonly as: readonly string[] }>();

export interface Setting {
  /** Keys from the top, as in `ppo.klCoef`, or `scorers[].weight` of the items of a list. */
  readonly path: string;
  /** What it may be, in words. */
  readonly type: string;
  /** What each item of a list may be. */
  readonly item?: string;
  readonly required: boolean;
  /** The default value; absent where there is none. */
  readonly default?: unknown;
  readonly description: string;
  /** Values to choose from, where there are few. */
  readonly choices: readonly string[];
  /** Its names elsewhere. */
  readonly names: readonly string[];
  /** Whether it holds settings of its own: their paths begin with this one's. */
  readonly isGroup: boolean;
  /** Title of the shape that it belongs to, where the shape is one of several ways to write a setting: `a new model`. */
  readonly partOf?: string;
}

/** Stands in a path behind a list: `scorers[].weight` is of each of its items. */
export const EACH = '[]';

type Schema = z.core.JSONSchema.JSONSchema & { names?: readonly string[] };

/** Every setting, groups before what they hold, in the order of the schema. */
export function settingsOf(schema: z.ZodObject): Setting[] {
  const json = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      const names = named.get(zodSchema)?.as;
      if (names) jsonSchema.names = names;
    },
  });
  return settingsWithin(json as Schema);
}

function settingsWithin(schema: Schema, parents: readonly string[] = [], partOf?: string): Setting[] {
  return Object.entries((schema.properties ?? {}) as Record<string, Schema>).flatMap(([key, property]) => {
    const path = [...parents, key];
    const group = groupIn(property);
    const setting: Setting = {
      path: path.join('.'),
      type: typeOf(property),
      ...(property.items !== undefined && { item: typeOf(property.items as Schema) }),
      required: schema.required?.includes(key) ?? false,
      ...('default' in property && { default: property.default }),
      description: property.description ?? '',
      choices: (property.enum ?? []).map(String),
      names: property.names ?? [],
      isGroup: group !== undefined,
      ...(partOf !== undefined && { partOf }),
    };
    const item = groupIn((property.items ?? {}) as Schema);
    return [
      setting,
      ...(group ? settingsWithin(group, path, group.title ?? partOf) : []),
      ...(item ? settingsWithin(item, [...parents, `${key}${EACH}`], item.title ?? partOf) : []),
    ];
  });
}

/** The object schema of a setting that may be an object. */
const groupIn = (schema: Schema): Schema | undefined =>
  schema.properties ? schema : (schema.anyOf as Schema[] | undefined)?.find(({ properties }) => properties);

function typeOf(schema: Schema): string {
  if (schema.anyOf) return (schema.anyOf as Schema[]).map(typeOf).join(', or ');
  if (schema.title !== undefined) return schema.title;
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  switch (schema.type) {
    case 'object':
      return `settings of its own (${Object.keys(schema.properties ?? {}).join(', ')})`;
    case 'array': {
      const least = schema.minItems ? ` of at least ${schema.minItems}` : '';
      return `list${least}: ${typeOf(schema.items as Schema)}`;
    }
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'text';
    default:
      return [schema.type, ...boundsOf(schema)].join(' ');
  }
}

function boundsOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Schema): string[] {
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && most !== undefined) return [`from ${minimum} to ${most}`];
  const least =
    minimum !== undefined
      ? `of at least ${minimum}`
      : exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`;
  const greatest =
    most !== undefined ? `at most ${most}` : exclusiveMaximum !== undefined && `below ${exclusiveMaximum}`;
  return [[least, greatest].filter(Boolean).join(', ')].filter((bounds) => bounds !== '');
}

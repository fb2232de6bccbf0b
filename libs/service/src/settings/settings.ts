/** Settings are environment variables with a schema. */

import { RuntimeError } from '@rlhf-streams/bus';
import { expectedBy } from '@rlhf-streams/events';
import { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One row of a service's documentation. */
export interface SettingDescription {
  readonly name: string;
  readonly description: string;
  /**
   * As text; undefined where the variable is required or may be absent. One that depends on the machine is in words: what
   * the schema's `.meta({ defaultInWords })` says.
   */
  readonly default?: string;
  readonly required: boolean;
}

interface Described {
  readonly description?: string;
  readonly default?: unknown;
  readonly defaultInWords?: string;
}

/** @throws RuntimeError RUNTIME_SETTINGS when a setting has no description. */
export function describeSettings(schema: z.ZodObject): SettingDescription[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, property]) => {
    const { description, default: value, defaultInWords } = property as Described;
    const fallback = defaultInWords ?? value;
    if (!description)
      throw new RuntimeError(
        'RUNTIME_SETTINGS',
        `expected setting ${name} to have a description: add .describe()`,
      );
    return {
      name,
      description,
      ...(fallback !== undefined && {
        default: typeof fallback === 'string' ? fallback : JSON.stringify(fallback),
      }),
      required: required.includes(name) && value === undefined,
    };
  });
}

const SECRET = /KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL/;

/**
 * The settings each of `schemas` describes, from environment variables; an empty variable counts as absent.
 * @throws RuntimeError RUNTIME_SETTINGS naming every variable that is wrong, what was expected and what came.
 */
export function readSettings<const Schemas extends readonly z.ZodObject[]>(
  environment: Environment,
  ...schemas: Schemas
): { [Index in keyof Schemas]: z.output<Schemas[Index]> } {
  const results = schemas.map((schema) => {
    const names = Object.keys(schema.shape).filter((name) => environment[name]);
    const values = Object.fromEntries(names.map((name) => [name, environment[name]]));
    return schema.safeParse(values, { error: expectedBy });
  });
  const mistakes = results.flatMap((result, index) =>
    result.success ? [] : result.error.issues.map((issue) => explain(issue, schemas[index]!, environment)),
  );
  if (mistakes.length > 0) {
    throw new RuntimeError(
      'RUNTIME_SETTINGS',
      `expected other environment variables:\n${mistakes.join('\n')}`,
    );
  }
  return results.map((result) => result.data) as { [Index in keyof Schemas]: z.output<Schemas[Index]> };
}

function explain(issue: z.core.$ZodIssue, schema: z.ZodObject, environment: Environment): string {
  const name = String(issue.path[0] ?? '');
  const description = describeSettings(schema).find((setting) => setting.name === name)?.description;
  if (!description) return `  ${issue.message}`;
  const value = environment[name];
  const came = !value ? 'nothing' : SECRET.test(name) ? 'a value that is not shown' : JSON.stringify(value);
  return `  ${name}: ${issue.message}, got ${came} (${description})`;
}

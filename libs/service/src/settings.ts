/** Settings are environment variables with a schema. */

import { RuntimeError } from '@rlhf-streams/bus';
import { z } from 'zod';
import { logLevels } from './logger.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What every service understands. */
export const runtimeSettings = z.object({
  HOST: z.string().default('127.0.0.1').describe('address to listen at; 0.0.0.0 in containers'),
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .describe('port to listen at; 0 takes a free one'),
  LOG_LEVEL: z.enum(logLevels).default('info').describe('least level that is logged'),
  HTTP_BODY_LIMIT_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(1 << 20)
    .describe('largest request body'),
  HTTP_ALLOWED_HOSTS: z
    .string()
    .optional()
    .describe(
      'names that requests may address besides localhost, separated by commas; by default any where HOST is no loopback address, else none',
    ),
  HTTP_STALLED_CLIENT_MS: z.coerce
    .number()
    .int()
    .min(1)
    .default(60_000)
    .describe('a client that does not read its answer for so many milliseconds is disconnected'),
  START_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(1)
    .default(300_000)
    .describe('a service that starts longer has failed'),
});

/** One row of a service's documentation. */
export interface SettingDescription {
  readonly name: string;
  readonly description: string;
  /** As text; undefined where the variable is required or may be absent. */
  readonly default?: string;
  readonly required: boolean;
}

/** @throws RuntimeError RUNTIME_SETTINGS when a setting has no description. */
export function describeSettings(schema: z.ZodObject): SettingDescription[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, property]) => {
    const { description, default: fallback } = property as { description?: string; default?: unknown };
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
      required: required.includes(name) && fallback === undefined,
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
    return schema.safeParse(Object.fromEntries(names.map((name) => [name, environment[name]])));
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
  return `  ${name} (${description}): got ${came}; ${issue.message}`;
}

/** The scorers that the operator of the services declares in a file, by name. Runs name them and say nothing else of them. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { explainMistake, ScorerName } from '@rlhf-streams/events';
import stringify from 'safe-stable-stringify';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { ScorerError } from './errors.js';
import { JudgeSettings } from './judge-settings.js';

/** Where a service finds the declarations. */
export const scorerSettings = z.object({
  RLHF_SCORERS: z
    .string()
    .optional()
    .describe(
      'a YAML or JSON file that declares scorers by name: HTTP services, LLM judges and JavaScript modules, which runs name as declared:NAME; without it there are none',
    ),
});

const HttpUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
  .refine(
    (url) => !new URL(url).username && !new URL(url).password,
    'expected a URL without a password in it: name a variable in token',
  )
  .describe('where requests are posted; redirects are not followed');

const every = {
  version: z
    .string()
    .max(200)
    .optional()
    .describe(
      'to be changed when the answers change: what was cached for another version is not used, and runs that started with it wait',
    ),
  timeoutMs: z.int().min(1).max(240_000).default(30_000).describe('milliseconds that an attempt may take'),
};
const remote = {
  ...every,
  token: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable, not the token')
    .optional()
    .describe('name of the environment variable that holds the bearer token'),
  retries: z.int().min(0).max(10).default(3).describe('attempts after the first, with growing pauses'),
  concurrency: z.int().min(1).max(256).default(4).describe('requests under way at the same time'),
  cache: z
    .boolean()
    .default(true)
    .describe('whether an answer is kept for the same completion, also after a restart'),
};
const requests = z.int().min(0).optional().describe('requests that were served, repeated ones too');
const spending = 'what may be spent in all: then runs are paused until there is more';
const batchSize = z.int().min(1).max(1024).default(32).describe('completions of a request, at most');

const Http = z.strictObject({
  url: HttpUrl,
  ...remote,
  batchSize,
  spending: z.strictObject({ requests }).optional().describe(spending),
});
const Module = z.strictObject({
  module: z.string().min(1).describe('path of a JavaScript module, relative to this file'),
  options: z.json().optional().describe('given to the module as it is'),
  ...every,
  batchSize,
});
const Judge = z
  .strictObject({
    judge: JudgeSettings.extend({ url: HttpUrl }),
    ...remote,
    spending: z
      .strictObject({
        requests,
        tokens: z
          .int()
          .min(0)
          .optional()
          .describe('tokens of prompts and answers, as the endpoint counts them'),
        usd: z.number().min(0).optional().describe('dollars, by judge.price'),
      })
      .optional()
      .describe(spending),
  })
  .refine(({ judge, spending }) => spending?.usd === undefined || judge.price, {
    path: ['judge', 'price'],
    error: 'expected the price of tokens, by which spending.usd is counted, got none',
  });

const kinds = { url: Http, module: Module, judge: Judge } as const;
type Kind = keyof typeof kinds;

export type HttpDeclaration = z.output<typeof Http>;
export type ModuleDeclaration = z.output<typeof Module>;
export type JudgeDeclaration = z.output<typeof Judge>;
export type Declaration = HttpDeclaration | ModuleDeclaration | JudgeDeclaration;

export interface Declared {
  readonly declaration: Declaration;
  /** Hash of what decides the answers: equal ones give the same. No token, and nothing that only says how to ask. */
  readonly sha256: string;
}
export type Declarations = ReadonlyMap<string, Declared>;

/**
 * The declarations of a file; none where no file is named.
 * @throws ScorerError RUNTIME_SETTINGS naming the file and every mistake in it by its path
 */
export async function readDeclarations(file: string | undefined): Promise<Declarations> {
  if (file === undefined) return new Map();
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw invalid(
      `expected ${resolve(file)}, which declares scorers, to be a readable file: ${cause.message}`,
      cause,
    );
  });
  return declarationsIn(text, file);
}

/** @internal */
export function declarationsIn(text: string, file: string): Declarations {
  const declared = contentOf(text, file);
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared))
    throw invalid(`expected ${file} to declare scorers by name, as NAME: { url: ... }`);
  const mistakes: string[] = [];
  const declarations = new Map<string, Declared>();
  for (const [name, value] of Object.entries(declared)) {
    const result = declarationOf(name, value);
    if ('mistakes' in result) mistakes.push(...result.mistakes);
    else
      declarations.set(name, {
        declaration: inFolder(result.declaration, dirname(file)),
        sha256: hashOf(result.declaration),
      });
  }
  if (mistakes.length === 0) return declarations;
  throw invalid(
    `expected ${file} to declare scorers:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`,
  );
}

function declarationOf(
  name: string,
  value: unknown,
): { readonly declaration: Declaration } | { readonly mistakes: readonly string[] } {
  if (!ScorerName.safeParse(name).success)
    return {
      mistakes: [
        `${JSON.stringify(name)}: expected a name of A-Z a-z 0-9 . _ -, beginning with a letter or digit`,
      ],
    };
  const has = (key: string) => typeof value === 'object' && value !== null && key in value;
  const named = (Object.keys(kinds) as Kind[]).filter(has);
  const [kind] = named;
  if (!kind || named.length > 1)
    return {
      mistakes: [
        `${name}: expected one of ${Object.keys(kinds).join(', ')}, got ${named.join(' and ') || 'none'}`,
      ],
    };
  const result = kinds[kind].safeParse(value, { error: explainMistake });
  if (result.success) return { declaration: result.data };
  return {
    mistakes: result.error.issues.map(
      ({ path, message }) => `${z.core.toDotPath([name, ...path])}: ${message}`,
    ),
  };
}

const inFolder = (declaration: Declaration, folder: string): Declaration =>
  'module' in declaration ? { ...declaration, module: resolve(folder, declaration.module) } : declaration;

function hashOf(declaration: Declaration): string {
  const { version, ...rest } = declaration;
  const decides =
    'url' in rest
      ? { url: rest.url }
      : 'module' in rest
        ? { module: rest.module, options: rest.options }
        : { judge: { ...rest.judge, price: undefined } };
  return sha256Of({ ...decides, version });
}

/** Hash of a value of JSON, whatever the order of its keys. */
export const sha256Of = (value: unknown): string =>
  createHash('sha256')
    .update(stringify(value) ?? '')
    .digest('hex');

function contentOf(text: string, file: string): unknown {
  const document = parseDocument(text);
  const [mistake] = document.errors;
  if (mistake) throw invalid(`${file} is no YAML: ${mistake.message}`, mistake);
  try {
    return document.toJS();
  } catch (cause) {
    // An alias without its anchor, or aliases of aliases that would fill the memory.
    throw invalid(`${file} is no YAML: ${(cause as Error).message}`, cause);
  }
}

const invalid = (message: string, cause?: unknown) =>
  new ScorerError('RUNTIME_SETTINGS', message, cause === undefined ? undefined : { cause });

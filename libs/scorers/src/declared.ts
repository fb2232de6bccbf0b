/** The declared scorers of a service: each asked as its declaration says, for what is not known yet. */
import { join } from 'node:path';
import pLimit from 'p-limit';
import { type Answer, isFailure, type Score, type ScorerItem } from './answer.js';
import { type IdentifiedItem, inBatches } from './ask.js';
import {
  type Declaration,
  type Declarations,
  type JudgeDeclaration,
  readDeclarations,
  sha256Of,
} from './declarations.js';
import { ScorerError } from './errors.js';
import { httpScorer } from './http.js';
import { createJudge, type Judge, type PairJudgement } from './judge.js';
import { openMemory, type ScorerMemory, type SpendingCap } from './memory.js';
import { openModule } from './module.js';
import type { Endpoint } from './post-json.js';

export interface DeclaredScorers {
  /**
   * What a scorer says of a completion, asked together with those that come at the same time.
   * @throws ScorerError for what the operator mends, after which the same completion can be scored (`unavailable`);
   *   every other failure is the answer
   */
  score(name: string, item: ScorerItem): Promise<Answer>;
  /** Hash of the declaration. @throws ScorerError SCORER_UNDECLARED */
  sha256Of(name: string): string;
  /** A declared LLM judge, to compare pairs with. @throws ScorerError SCORER_UNDECLARED where the name is no judge's */
  judge(name: string): Judge;
  close(): Promise<void>;
}

export interface ScorersOptions {
  /** The file of declarations; there are none where it is not named. */
  readonly file: string | undefined;
  /** Holds the tokens that declarations name. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Keeps answers, and what was spent, in a folder of its own in here. */
  readonly directory: string;
  /** Ends requests under way, with its reason. */
  readonly signal?: AbortSignal;
}

/** @throws ScorerError RUNTIME_SETTINGS for the file, a token that is not there, or a module that does not load */
export async function openScorers(options: ScorersOptions): Promise<DeclaredScorers> {
  const declarations = await readDeclarations(options.file);
  requireTokens(declarations, options.environment);
  const memory = declarations.size > 0 ? openMemory(join(options.directory, 'scorers')) : undefined;
  const scorers = new Map<string, Opened>();
  const close = async () => {
    await Promise.all([...scorers.values()].map((scorer) => scorer.close?.()));
    await memory?.close();
  };
  try {
    for (const [name, { declaration, sha256 }] of declarations)
      scorers.set(name, await open(name, declaration, { ...options, sha256, memory: memory! }));
  } catch (error) {
    await close();
    throw error;
  }

  const named = (name: string): Opened => {
    const scorer = scorers.get(name);
    if (scorer) return scorer;
    throw new ScorerError(
      'SCORER_UNDECLARED',
      `expected scorer ${name} to be declared in the file of RLHF_SCORERS, there ${scorers.size === 0 ? 'is none' : `are ${[...scorers.keys()].join(', ')}`}`,
    );
  };
  return {
    score: async (name, item) => named(name).score(item),
    sha256Of: (name) => named(name).sha256,
    judge(name) {
      const { judge } = named(name);
      if (judge) return judge;
      throw new ScorerError(
        'SCORER_UNDECLARED',
        `expected scorer ${name} to be declared as a judge, it is another kind`,
      );
    },
    close,
  };
}

interface Opened {
  readonly sha256: string;
  readonly score: (item: ScorerItem) => Promise<Answer>;
  readonly judge?: Judge;
  readonly close?: () => Promise<void>;
}

interface OpenOptions extends Pick<ScorersOptions, 'file' | 'environment' | 'signal'> {
  readonly sha256: string;
  readonly memory: ScorerMemory;
}

async function open(name: string, declaration: Declaration, options: OpenOptions): Promise<Opened> {
  const { sha256, memory } = options;
  if ('module' in declaration) {
    const { ask, close } = await openModule(name, declaration);
    // A thread does one thing at a time.
    const limit = pLimit(1);
    const score = inBatches((items) => limit(ask, items), declaration);
    return { sha256, score: remembering(sha256, score, undefined), close };
  }
  const endpoint = endpointOf(name, declaration, options);
  const limit = pLimit(declaration.concurrency);
  const kept = declaration.cache ? memory : undefined;
  if ('url' in declaration) {
    const once = httpScorer({ ...endpoint, retries: 0 });
    const ask = httpScorer(endpoint);
    const score = inBatches((items) => limit(ask, items), {
      batchSize: declaration.batchSize,
      alone: (items) => limit(once, items),
    });
    return { sha256, score: remembering(sha256, score, kept) };
  }
  const judge = judgeOf(name, declaration, endpoint, memory);
  const score = remembering(sha256, (item) => limit(judge.rate, item), kept);
  const compare = async (pair: Pair): Promise<PairJudgement> => {
    const id = sha256Of({ judge: sha256, ...pair });
    const known = kept?.recall<PairJudgement>(id);
    if (known) return known;
    const judgement = await limit(judge.compare, pair);
    await kept?.keep(id, judgement);
    return judgement;
  };
  return { sha256, score, judge: { rate: score, compare } };
}

type Pair = Parameters<Judge['compare']>[0];

const judgeOf = (
  name: string,
  { judge }: JudgeDeclaration,
  endpoint: Endpoint,
  memory: ScorerMemory,
): Judge => createJudge(judge, { ...endpoint, onUsage: (usage) => memory.spend(name, usage) });

const endpointOf = (
  name: string,
  declaration: Exclude<Declaration, { module: string }>,
  options: OpenOptions,
): Endpoint => {
  const { environment, memory, signal } = options;
  const { token, timeoutMs, retries, spending } = declaration;
  return {
    name: `scorer ${name}`,
    url: 'url' in declaration ? declaration.url : declaration.judge.url,
    token: token === undefined ? undefined : environment[token],
    timeoutMs,
    retries,
    onAttempt: () =>
      memory.begin(name, spending).catch(async (error) => {
        const raised = await spendingNow(options, name);
        if (!raised) throw error;
        await memory.begin(name, raised);
      }),
    onUnserved: () => memory.spend(name, { requests: -1 }),
    signal,
  };
};

/** What the file says by now that may be spent: the operator may have raised it since the service started. */
async function spendingNow({ file, sha256 }: OpenOptions, name: string): Promise<SpendingCap | undefined> {
  const now = await readDeclarations(file).catch((error) => {
    // Half-written: what was read at the start holds until the file is whole.
    if (error instanceof ScorerError) return undefined;
    throw error;
  });
  const declared = now?.get(name);
  if (declared?.sha256 !== sha256) return undefined;
  return 'spending' in declared.declaration ? (declared.declaration.spending ?? {}) : {};
}

/**
 * Answers what is known from memory, and asks once for what several want at the same time. Failures are not kept.
 * @throws ScorerError for what the operator mends
 */
function remembering(
  sha256: string,
  ask: (item: IdentifiedItem) => Promise<Answer>,
  memory: ScorerMemory | undefined,
): (item: ScorerItem) => Promise<Answer> {
  const underWay = new Map<string, Promise<Answer>>();
  const answered = async (item: IdentifiedItem): Promise<Answer> => {
    const answer = await ask(item).catch((error) => {
      if (!(error instanceof ScorerError)) throw error;
      return error;
    });
    if (!isFailure(answer)) await memory?.keep(item.id, answer);
    else if (answer.unavailable) throw answer;
    return answer;
  };
  return (item) => {
    const { prompt, completion, messages, tools, metadata } = item;
    const told = { prompt, completion, messages, ...(tools && { tools }), metadata };
    const id = sha256Of({ scorer: sha256, ...told });
    const known = memory?.recall<Score | null>(id);
    if (known !== undefined) return Promise.resolve(known);
    const asked = underWay.get(id) ?? answered({ ...item, id }).finally(() => underWay.delete(id));
    underWay.set(id, asked);
    return asked;
  };
}

function requireTokens(declarations: Declarations, environment: ScorersOptions['environment']): void {
  const missing = [...declarations].flatMap(([name, { declaration }]) =>
    'token' in declaration && declaration.token !== undefined && !environment[declaration.token]
      ? [`${name}: ${declaration.token}`]
      : [],
  );
  if (missing.length > 0)
    throw new ScorerError(
      'RUNTIME_SETTINGS',
      `expected the environment variables of the tokens that scorers name, missing: ${missing.join(', ')}`,
    );
}

/** The runs that a frontier is made of: what members build on, a member for each setting and seed, and an evaluation of each version that counts. */
import type { FrontierFile } from './schema.js';

/** What is trained with one setting and one seed, and its evaluations. */
export interface Member<Run> {
  /** As the file calls it. */
  readonly member: string;
  /** The values of this setting by their paths. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly run: Run;
  /** In the order of their steps, which are those that were done. */
  readonly evaluations: readonly { readonly step: number; readonly run: Run }[];
}

export interface FrontierPlan<Run> {
  readonly experiment: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** What members build on. */
  readonly runs: readonly Run[];
  /** The evaluation of the reference: the policy whose KL is 0. */
  readonly reference: Run;
  readonly members: readonly Member<Run>[];
}

export type Json = Readonly<Record<string, unknown>>;

/** The plan of a file, with runs as they are requested, unread. */
export function planOf({ frontier, tags, seeds, runs, members, evaluate }: FrontierFile): FrontierPlan<Json> {
  const { every, ...judged } = evaluate;
  const evaluation = (run: string, model: unknown, seed: number): Json => ({
    batchSize: DEFAULT_PROMPTS,
    ...judged,
    run,
    seed,
    method: 'sample',
    model,
    testPrompts: true,
    steps: 1,
  });
  return {
    experiment: frontier,
    ...(tags && { tags }),
    runs: runs as readonly Json[],
    reference: evaluation(`${frontier}.reference`, judged.reference, seeds[0]!),
    members: Object.entries(members).flatMap(([member, { run, sweep }]) =>
      combinations(sweep).flatMap((values) =>
        seeds.map((seed) => {
          const name = [frontier, member, ...Object.entries(values).map(inName), `s${seed}`].join('.');
          const withValues = Object.entries(values).reduce<Json>(
            (config, [path, value]) => withSetting(config, path.split('.'), value),
            run,
          );
          // A version is needed wherever one is evaluated.
          const config = { checkpointEvery: every, ...withValues, run: name, seed };
          return {
            member,
            values,
            seed,
            run: config,
            evaluations: evaluatedSteps((config as Json).steps, every).map((step) => ({
              step,
              run: evaluation(`${name}.at-${step}`, `run:${name}@${step}`, seed),
            })),
          };
        }),
      ),
    ),
  };
}

/** Held-out prompts of an evaluation, where a file says nothing of them. */
const DEFAULT_PROMPTS = 128;

/** A setting in words, as `beta 0.1`; '' for that of a member without a sweep. */
export const settingInWords = (values: Member<unknown>['values']): string =>
  Object.entries(values)
    .map(([path, value]) => `${lastKey(path)} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ');

/** All runs: what members build on, and each member with its evaluations. */
export const runSetOf = <Run>({ experiment, tags, runs, reference, members }: FrontierPlan<Run>) => ({
  experiment,
  ...(tags && { tags }),
  first: [...runs, reference],
  members: members.map(({ run, evaluations }) => [run, ...evaluations.map(({ run }) => run)]),
});

export const allRuns = <Run>(plan: FrontierPlan<Run>): Run[] => {
  const { first, members } = runSetOf(plan);
  return [...first, ...members.flat()];
};

/** Every combination of the values of all paths. */
const combinations = (sweep: Readonly<Record<string, readonly unknown[]>>): Record<string, unknown>[] =>
  Object.entries(sweep).reduce<Record<string, unknown>[]>(
    (all, [path, values]) => all.flatMap((before) => values.map((value) => ({ ...before, [path]: value }))),
    [{}],
  );

function withSetting(config: Json, [key, ...rest]: readonly string[], value: unknown): Json {
  if (rest.length === 0) return { ...config, [key!]: value };
  const inner = config[key!];
  const object = typeof inner === 'object' && inner !== null ? (inner as Json) : {};
  return { ...config, [key!]: withSetting(object, rest, value) };
}

/** Every `every` steps, and the last; none where a run does not say how many steps it has. */
function evaluatedSteps(steps: unknown, every: number): number[] {
  if (!Number.isInteger(steps)) return [];
  const last = steps as number;
  const until = Array.from({ length: Math.ceil(last / every) - 1 }, (_, index) => (index + 1) * every);
  return last > 0 ? [...until, last] : [];
}

const lastKey = (path: string): string => path.split('.').at(-1)!;

/** A value in the name of a run: `beta-0.1`. */
const inName = ([path, value]: readonly [string, unknown]): string =>
  `${lastKey(path)}-${typeof value === 'string' ? value : JSON.stringify(value)}`
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/-+$/, '');

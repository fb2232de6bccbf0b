/** The thread of a module scorer: it runs the operator's module, so that one that hangs blocks nobody else. */
import { serve } from '@rlhf-streams/threads';

type Module = { readonly default?: unknown };
type ScoreFunction = (items: readonly unknown[], context: { readonly options: unknown }) => unknown;

let score: ScoreFunction | undefined;
let options: unknown;

const api = {
  async load(url: string, given: unknown): Promise<void> {
    const { default: exported } = (await import(url)) as Module;
    if (typeof exported !== 'function')
      throw new Error(`expected a function as its default export, got ${typeof exported}`);
    score = exported as ScoreFunction;
    options = given;
  },
  score: async (items: readonly unknown[]): Promise<unknown> => score!(items, { options }),
};

export type ModuleThread = typeof api;
serve(api);

/** The programs of workspaces gathered into one graph over their variables. */
import type { DType, Program, Specs } from '../engine.js';
import type { Precision } from './backend.js';
import { createGraph, type Variable } from './graph.js';
import { addProgram, type GraphProgram } from './program.js';
import {
  type Access,
  accessTo,
  doneAfter,
  type Placeholder,
  type RoundedCopy,
  roundedCopy,
} from './variables.js';

/** Whose programs are gathered. */
export interface Member {
  /** The state, frozen tensors included. */
  readonly state: Specs;
  readonly frozen: ReadonlySet<string>;
  /** Names a variable: members that name frozen tensors alike share them. */
  key(tensor: string): string;
}

/** A program of a member: two may have the same one, each over a state of its own. */
export interface Gatherable {
  readonly member: Member;
  readonly program: Program;
}

/** A program as it is run. */
export interface Runnable {
  readonly feeds: Readonly<Record<string, Placeholder>>;
  /** What to fetch for each output. */
  readonly outputs: Readonly<Record<string, string>>;
  /** To be fetched at every run, where there is something: it makes the effects. */
  readonly done: string | undefined;
  /** Names of the tensors that it changes. */
  readonly writes: readonly string[];
}

export interface Gathered {
  readonly variables: ReadonlyMap<string, Access>;
  readonly programs: ReadonlyMap<Gatherable, Runnable>;
  /** Why those that are not among them could not be recorded: nothing of these is in the graph. */
  readonly failed: ReadonlyMap<Gatherable, unknown>;
  /** A `saved_model.pb`. */
  readonly bytes: Uint8Array;
}

export interface GatherOptions {
  readonly precision: Precision;
  /** Whether XLA compiles the programs. */
  readonly xla: boolean;
}

export function gather(
  members: readonly Member[],
  programs: readonly Gatherable[],
  options: GatherOptions,
): Gathered {
  const { precision, xla } = options;
  const graph = createGraph();
  const variables = new Map<string, Variable<DType>>();
  const copies = new Map<string, RoundedCopy>();
  for (const { state, key } of members)
    for (const [name, spec] of Object.entries(state))
      if (!variables.has(key(name))) variables.set(key(name), graph.variable(spec));

  /** A rounded copy is kept of a tensor that is read many times between its changes: rounding it takes longer than a product of one row. */
  const copyOf = ({ member, program }: Gatherable, name: string) => {
    if (!member.frozen.has(name) && !program.constants?.includes(name)) return undefined;
    const key = member.key(name);
    const copy = copies.get(key) ?? roundedCopy(graph, variables.get(key)!);
    copies.set(key, copy);
    return copy.variable;
  };
  const failed = new Map<Gatherable, unknown>();
  const recorded: { readonly of: Gatherable; readonly recorded: GraphProgram }[] = [];
  for (const of of programs) {
    const { member, program } = of;
    if (xla) graph.cluster(`p${recorded.length}`);
    const variablesOf = Object.fromEntries(
      Object.keys(member.state).map((name) => [name, variables.get(member.key(name))!]),
    );
    try {
      const added = addProgram(graph, program, {
        state: member.state,
        frozen: member.frozen,
        variables: variablesOf,
        precision,
        xla,
        roundedCopy: (name) => copyOf(of, name),
      });
      recorded.push({ of, recorded: added });
    } catch (error) {
      failed.set(of, error);
    }
  }
  graph.cluster(undefined);
  if (failed.size > 0) {
    // They have left nodes and rounded copies behind.
    const others = programs.filter((program) => !failed.has(program));
    const gathered = gather(members, others, options);
    return { ...gathered, failed: new Map([...failed, ...gathered.failed]) };
  }

  const runnables = recorded.map(({ of, recorded: { feeds, outputs, effects } }) => {
    const made = Object.entries(effects).map(
      ([name, effect]) => copies.get(of.member.key(name))?.refreshed([effect]) ?? effect,
    );
    const runnable: Runnable = {
      feeds,
      outputs: Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, value.name])),
      done: made.length > 0 ? doneAfter(graph, made).name : undefined,
      writes: Object.keys(effects),
    };
    return [of, runnable] as const;
  });
  const accesses = [...variables].map(
    ([key, variable]) => [key, accessTo(graph, variable, copies.get(key))] as const,
  );
  return { variables: new Map(accesses), programs: new Map(runnables), failed, bytes: graph.encode() };
}

/** One session for all workspaces that share frozen tensors: TensorFlow's sessions share nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  allocate,
  type Buffers,
  type Frozen,
  type Program,
  type Specs,
  type TensorSpec,
  type TypedBuffer,
} from '../engine.js';
import { readStored } from '../engines/frozen.js';
import type { Binding, Session } from './binding.js';
import { type Gatherable, type Gathered, type GatherOptions, gather, type Member } from './gathered.js';
import { type Access, feed, unaligned } from './variables.js';

/** What a workspace does with its part of a session. */
export interface Part {
  /** Says that a program is about to run: a session that is opened by then has it from the beginning. */
  ask(program: Program): Gatherable;
  run(asked: Gatherable, feeds: Buffers, only?: readonly string[]): Buffers;
  load(values: Buffers): void;
  read(names: readonly string[]): Buffers;
  leave(): void;
}

export interface SharedSession {
  join(state: Specs): Part;
  /** Whether somebody has a part of it. */
  readonly used: boolean;
}

/** @param frozen what its workspaces have in common */
export function createSharedSession(
  binding: Binding,
  frozen: Frozen | undefined,
  frozenNames: ReadonlySet<string>,
  options: GatherOptions,
): SharedSession {
  const members = new Map<Member, Map<Program, Gatherable>>();
  /**
   * Programs that have run, or are about to: a session has these. Of all shapes that may come few do, and recording one
   * takes time.
   */
  const needed = new Set<Gatherable>();
  /** Why programs cannot be recorded: none is tried twice. */
  const failed = new WeakMap<Gatherable, unknown>();
  let open: { readonly session: Session; readonly gathered: Gathered } | undefined;
  /** Values of variables while no session has them. Those that are neither here nor written are 0. */
  const held = new Map<string, TypedBuffer>();
  /** Variables of the open session that may be other than 0. */
  const written = new Set<string>();
  let ids = 0;

  const accesses = (keys: Iterable<string>): Access[] =>
    [...keys].flatMap((key) => open?.gathered.variables.get(key) ?? []);
  /** What is fetched together for the first time takes TensorFlow long, in a large graph: all of it is one run. */
  const fetch = (fetches: readonly string[]): TypedBuffer[] => open?.session.run([], fetches) ?? [];

  const close = () => {
    const { session } = open ?? {};
    open = undefined;
    session?.close();
  };

  /** Takes the state back to the host, and closes the session. */
  const suspend = () => {
    if (!open) return;
    const { variables } = open.gathered;
    const keys = [...written].filter((key) => variables.has(key));
    const values = fetch(accesses(keys).map(({ read }) => read));
    keys.forEach((key, i) => {
      held.set(key, values[i]!);
    });
    close();
    written.clear();
  };

  const opened = () => {
    open ??= start();
    return open;
  };
  const start = () => {
    const gathered = gather([...members.keys()], [...needed], options);
    for (const [program, cause] of gathered.failed) {
      failed.set(program, cause);
      needed.delete(program);
    }
    const session = openGraph(binding, gathered.bytes);
    try {
      const loads = [...gathered.variables].map(([key, { load, setZero, spec }]) => {
        const name = frozenName(key);
        const values = name === undefined ? held.get(key) : frozenValue(frozen!, name, spec);
        const [to, numbers] = values ? [load, values] : [setZero, allocate({ ...spec, shape: [] })];
        return { fed: feed(to, numbers), done: to.done };
      });
      session.run(
        loads.map(({ fed }) => fed),
        loads.map(({ done }) => done),
      );
    } catch (error) {
      session.close();
      throw error;
    }
    for (const key of held.keys()) written.add(key);
    held.clear();
    return { session, gathered };
  };

  const run = (of: Gatherable, feeds: Buffers, only?: readonly string[]): Buffers => {
    if (failed.has(of)) throw failed.get(of);
    if (!open?.gathered.programs.has(of)) suspend();
    const { session, gathered } = opened();
    const runnable = gathered.programs.get(of);
    if (!runnable) throw failed.get(of);
    const outputs = Object.entries(runnable.outputs).filter(([name]) => !only || only.includes(name));
    const fetches = [...outputs.map(([, fetch]) => fetch), ...(runnable.done ? [runnable.done] : [])];
    const fed = Object.entries(runnable.feeds).map(([name, placeholder]) => feed(placeholder, feeds[name]!));
    const results = session.run(fed, fetches);
    for (const name of runnable.writes) written.add(of.member.key(name));
    return Object.fromEntries(outputs.map(([name], i) => [name, results[i]!]));
  };

  return {
    get used() {
      return members.size > 0;
    },
    join(state) {
      const id = ids++;
      const member: Member = {
        state,
        frozen: frozenNames,
        key: (name) => (frozenNames.has(name) ? FROZEN : `${id}/`) + name,
      };
      const programs = new Map<Program, Gatherable>();
      members.set(member, programs);
      return {
        ask(program) {
          const asked = programs.get(program) ?? { member, program };
          programs.set(program, asked);
          if (!failed.has(asked)) needed.add(asked);
          return asked;
        },
        run,
        load(values) {
          const loads = Object.entries(values).flatMap(([name, buffer]) => {
            const key = member.key(name);
            const access = open?.gathered.variables.get(key);
            if (access) {
              written.add(key);
              return [{ fed: feed(access.load, buffer), done: access.load.done }];
            }
            held.set(key, buffer.slice());
            return [];
          });
          open?.session.run(
            loads.map(({ fed }) => fed),
            loads.map(({ done }) => done),
          );
        },
        read(names) {
          const known = names.filter((name) => open?.gathered.variables.has(member.key(name)));
          const values = fetch(accesses(known.map(member.key)).map(({ read }) => read));
          const read = new Map(known.map((name, i) => [name, values[i]!]));
          const elsewhere = (name: string): TypedBuffer => {
            const value = frozenNames.has(name)
              ? frozenValue(frozen!, name, state[name]!)
              : held.get(member.key(name));
            return value?.slice() ?? allocate(state[name]!);
          };
          return Object.fromEntries(names.map((name) => [name, read.get(name) ?? elsewhere(name)]));
        },
        leave() {
          members.delete(member);
          for (const asked of programs.values()) needed.delete(asked);
          const own = Object.keys(state)
            .filter((name) => !frozenNames.has(name))
            .map(member.key);
          try {
            if (members.size > 0) fetch(accesses(own).map(({ destroy }) => destroy));
            else close();
          } finally {
            for (const key of own) {
              held.delete(key);
              written.delete(key);
            }
          }
        },
      };
    },
  };
}

const FROZEN = 'frozen/';
const frozenName = (key: string): string | undefined =>
  key.startsWith(FROZEN) ? key.slice(FROZEN.length) : undefined;

const frozenValue = (frozen: Frozen, name: string, spec: TensorSpec): TypedBuffer =>
  ('values' in frozen ? frozen.values : readStored(frozen.stored, { [name]: spec }, unaligned))[name]!;

/** A graph is opened from a file, which is not needed afterwards. */
function openGraph(binding: Binding, bytes: Uint8Array): Session {
  const folder = mkdtempSync(join(tmpdir(), 'rlhf-streams-graph-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), bytes);
    return binding.open(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

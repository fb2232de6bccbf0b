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
  type TypedBuffer,
} from '../engine.js';
import { readStored } from '../engines/frozen.js';
import type { Binding, Session } from './binding.js';
import { type Gatherable, type Gathered, type GatherOptions, gather, type Member } from './gathered.js';
import { feed } from './variables.js';

/** What a workspace does with its part of a session. */
export interface Part {
  /** @returns what runs the program */
  add(program: Program): (feeds: Buffers, only?: readonly string[]) => Buffers;
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
  const members = new Map<Member, Set<Gatherable>>();
  /** Programs that have run, or are about to: a new session has them at once. */
  const needed = new Set<Gatherable>();
  let open: { readonly session: Session; readonly gathered: Gathered } | undefined;
  /** Values of variables while no session has them. Those that are neither here nor written are 0. */
  const held = new Map<string, TypedBuffer>();
  /** Variables of the open session that may be other than 0. */
  const written = new Set<string>();
  let ids = 0;

  const fetch = (...fetches: string[]): TypedBuffer[] => open!.session.run([], fetches);

  /** Takes the state back to the host, and closes the session. */
  const suspend = () => {
    if (!open) return;
    const { variables } = open.gathered;
    for (const key of written) held.set(key, fetch(variables.get(key)!.read)[0]!);
    open.session.close();
    open = undefined;
    written.clear();
  };

  const opened = () => {
    open ??= start();
    return open;
  };
  const start = () => {
    const programs = [...members.values()].flatMap((programs) => [...programs]);
    programs.sort((a, b) => Number(needed.has(b)) - Number(needed.has(a)));
    const gathered = gather(members.keys(), programs, needed, options);
    const session = openGraph(binding, gathered.bytes);
    try {
      for (const [key, { load, setZero, spec }] of gathered.variables) {
        const name = frozenName(key);
        const values =
          name === undefined ? held.get(key) : frozenValues(frozen!, name, { [name]: spec })[name]!;
        if (!values) session.run([], [setZero]);
        // What came from the host here belongs to nobody else, but for frozen values that were given.
        else
          session.run([feed(load, values, { copy: name !== undefined && 'values' in frozen! })], [load.done]);
      }
    } catch (error) {
      session.close();
      throw error;
    }
    for (const key of held.keys()) written.add(key);
    held.clear();
    return { session, gathered };
  };

  const run = (of: Gatherable, feeds: Buffers, only?: readonly string[]): Buffers => {
    needed.add(of);
    if (!open?.gathered.programs.has(of)) suspend();
    const { session, gathered } = opened();
    const runnable = gathered.programs.get(of)!;
    const outputs = Object.entries(runnable.outputs).filter(([name]) => !only || only.includes(name));
    const fetches = [...outputs.map(([, fetch]) => fetch), ...(runnable.done ? [runnable.done] : [])];
    if (fetches.length === 0) return {};
    const fed = Object.entries(runnable.feeds).map(([name, placeholder]) =>
      feed(placeholder, feeds[name]!, { copy: runnable.keepsFeeds && !binding.usesGpu }),
    );
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
      const programs = new Set<Gatherable>();
      members.set(member, programs);
      return {
        add(program) {
          const of = { member, program };
          programs.add(of);
          return (feeds, only) => run(of, feeds, only);
        },
        load(values) {
          for (const [name, buffer] of Object.entries(values)) {
            const key = member.key(name);
            const access = open?.gathered.variables.get(key);
            if (access) {
              open!.session.run([feed(access.load, buffer, { copy: !binding.usesGpu })], [access.load.done]);
              written.add(key);
            } else held.set(key, buffer.slice());
          }
        },
        read(names) {
          return Object.fromEntries(
            names.map((name) => {
              const key = member.key(name);
              const access = open?.gathered.variables.get(key);
              if (access) return [name, fetch(access.read)[0]!];
              if (frozenNames.has(name))
                return [name, frozenValues(frozen!, name, { [name]: state[name]! })[name]!];
              return [name, held.get(key)?.slice() ?? allocate(state[name]!)];
            }),
          );
        },
        leave() {
          members.delete(member);
          for (const program of programs) needed.delete(program);
          const own = Object.keys(state)
            .filter((name) => !frozenNames.has(name))
            .map(member.key);
          if (open && members.size > 0)
            for (const key of own) {
              const access = open.gathered.variables.get(key);
              if (access) fetch(access.destroy);
            }
          for (const key of own) {
            held.delete(key);
            written.delete(key);
          }
          if (members.size > 0) return;
          open?.session.close();
          open = undefined;
        },
      };
    },
  };
}

const FROZEN = 'frozen/';
const frozenName = (key: string): string | undefined =>
  key.startsWith(FROZEN) ? key.slice(FROZEN.length) : undefined;

const frozenValues = (frozen: Frozen, name: string, specs: Specs): Buffers =>
  'values' in frozen ? { [name]: frozen.values[name]! } : readStored(frozen.stored, specs);

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

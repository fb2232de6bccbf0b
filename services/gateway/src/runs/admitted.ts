/**
 * What a configuration that comes over HTTP may name. Whoever reaches the gateway is not who may read this machine's
 * files: the gateway takes paths within the roots that the setting RLHF_HTTP_ROOTS allows, and any path only of its
 * owner, who asks it in its own process.
 */
import { lstat, realpath } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { RuntimeError } from '@rlhf-streams/bus';
import { exists, filesMatching, isPattern } from '@rlhf-streams/files';
import {
  type NamedSource,
  namedSources,
  pathsOf,
  type RunConfig,
  sourceText,
  withPaths,
} from '@rlhf-streams/runs';
import { type FieldError, problem } from '@rlhf-streams/service';
import { z } from 'zod';

/** The key of a binding: a request that came by a socket has only the bindings that the server gives it. */
const OWNER = Symbol('may name any file of this machine');

/**
 * Bindings of a request by the owner of this process, who may read the files that the process may read: paths in the
 * request are taken as they are written, relative to where the services run.
 * @example await service.request('/v1/runs', { method: 'POST', headers, body }, asOwner);
 */
export const asOwner: object = Object.freeze({ [OWNER]: true });

export const isOwner = (bindings: unknown): boolean =>
  typeof bindings === 'object' && bindings !== null && OWNER in bindings;

/** Folders, absolute and without symbolic links. Relative paths are relative to the first. */
export type Roots = readonly string[];

/** @throws RuntimeError RUNTIME_SETTINGS when a root is not there. */
export function rootsOf(setting: string | undefined): Promise<Roots> {
  const folders = (setting ?? '').split(delimiter).filter((folder) => folder !== '');
  return Promise.all(
    folders.map((folder) =>
      realpath(resolve(folder)).catch((cause) => {
        throw new RuntimeError(
          'RUNTIME_SETTINGS',
          `expected RLHF_HTTP_ROOTS to name folders, got ${folder}`,
          {
            cause,
          },
        );
      }),
    ),
  );
}

const MOST_NAMED = 50;

/** Configurations by where the request has them: a single one at no place, those of a set at `['runs', 2]`. */
export interface Asked {
  readonly config: RunConfig;
  readonly at: readonly (string | number)[];
}

/**
 * The configurations with every path absolute.
 * @throws a problem: 403 PATH_NOT_ALLOWED naming every source that is a path outside of the roots, whether there is a
 * file or not.
 */
export async function admitted(asked: readonly Asked[], roots: Roots): Promise<RunConfig[]> {
  const refused: FieldError[] = [];
  const copies: RunConfig[] = [];
  for (const { config, at } of asked) {
    const copy = structuredClone(config);
    for (const named of namedSources(config)) {
      const paths = pathsOf(named.source);
      if (paths.length === 0) continue;
      const allowed = new Map<string, string>();
      for (const path of paths) {
        const absolute = await withinRoots(path, roots);
        if (absolute !== undefined) allowed.set(path, absolute);
      }
      if (paths.every((path) => allowed.has(path)))
        put(copy, named.path, sourceText(withPaths(named.source, (path) => allowed.get(path)!)));
      else refused.push(refusal({ ...named, path: [...at, ...named.path] }, roots));
    }
    copies.push(copy);
  }
  if (refused.length === 0) return copies;
  throw problem(
    403,
    'PATH_NOT_ALLOWED',
    'The path is not allowed',
    `expected paths within the folders of the gateway's setting RLHF_HTTP_ROOTS, got another in ${refused
      .slice(0, MOST_NAMED)
      .map(({ path }) => path)
      .join(', ')}`,
    { errors: refused.slice(0, MOST_NAMED) },
  );
}

const OTHERS = {
  model: 'run:ID, artifact:SHA256, the shape of a new model',
  data: 'bundled, run:ID, feedback:COLLECTION',
  scorer: 'run:ID, artifact:SHA256, gold:bundled, declared:NAME',
};

const refusal = ({ kind, path, text }: NamedSource, roots: Roots): FieldError => ({
  path: z.core.toDotPath([...path]),
  code: 'path_not_allowed',
  message: `expected ${OTHERS[kind]} or a path within RLHF_HTTP_ROOTS${roots.length === 0 ? ', which is not set' : ''}, got ${text}`,
});

/** The path made absolute, where it lies within a root however links lead. */
async function withinRoots(path: string, roots: Roots): Promise<string | undefined> {
  const [first] = roots;
  if (first === undefined || path.includes('\0')) return undefined;
  const absolute = resolve(first, path);
  const files = isPattern(path) && !(await exists(absolute)) ? await matchesOf(absolute) : [];
  if (!files) return undefined;
  // Of a pattern, the folder that its first part names and every file that it matches.
  for (const each of [absolute, ...files]) {
    const real = await realOf(each);
    if (real === undefined || !roots.some((root) => isWithin(root, real))) return undefined;
  }
  return absolute;
}

/** The files that a pattern matches; undefined for one that may lead up and out of a root, as `{..,a}/b` does. */
const matchesOf = async (pattern: string): Promise<string[] | undefined> =>
  pattern.includes('..') ? undefined : filesMatching(pattern);

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Where a path leads, or would lead once there is something; undefined when nobody can tell. */
async function realOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!isMissing(error)) return undefined;
  }
  // A link to nothing may lead anywhere tomorrow.
  const link = await lstat(path).then(
    (stats) => stats.isSymbolicLink(),
    (error) => !isMissing(error),
  );
  const parent = dirname(path);
  if (link || parent === path) return undefined;
  const real = await realOf(parent);
  return real === undefined ? undefined : join(real, basename(path));
}

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

function put(config: RunConfig, path: NamedSource['path'], source: string): void {
  const holder = path
    .slice(0, -1)
    .reduce<unknown>((value, name) => (value as Record<string | number, unknown>)[name], config);
  (holder as Record<string | number, unknown>)[path.at(-1)!] = source;
}

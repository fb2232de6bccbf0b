/**
 * Where a model, data or a scorer comes from. A configuration writes a source as text (`run:my-sft`, `gold:bundled`, a
 * path); it is parsed here and nowhere else.
 */
import type { NewModel } from './new-model.js';

/** What a source gives. The kind decides what a text means: `bundled` names the corpus as data, but a folder as a model. */
export type SourceKind = 'model' | 'data' | 'scorer';

export interface FromRun {
  readonly from: 'run';
  readonly run: string;
  /** A version that the run published; its model where none is named. Data have none. */
  readonly version?: number;
}
export interface FromPath {
  readonly from: 'path';
  /** As it was written: absolute, or relative to where the service was started. */
  readonly path: string;
}
export interface FromArtifact {
  readonly from: 'artifact';
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}
/** An adapter that did not come from a run, on a model that neither did. */
export interface FromAdapter {
  readonly from: 'adapter';
  /** As PEFT's `save_pretrained` writes it. */
  readonly adapter: FromPath | FromArtifact;
  readonly base: FromPath | FromArtifact;
}

/** Several files, folders and patterns of files: one dataset. */
interface FromFiles {
  readonly from: 'files';
  readonly paths: readonly string[];
}

/** The model that a run trained, a stored one, a folder in the Hugging Face layout, an adapter on one of these, or the shape of one to be made. */
export type ModelOrigin =
  | FromRun
  | FromArtifact
  | FromPath
  | FromAdapter
  | { readonly from: 'new'; readonly shape: NewModel };

/** The bundled corpus, comparisons that a run recorded, a collection of feedback, or files. */
export type DataOrigin =
  | {
      readonly from: 'bundled';
      /** One of the sets that evaluations come with; without it, the corpus. */
      readonly set?: string;
    }
  | FromRun
  | { readonly from: 'feedback'; readonly collection: string }
  | FromPath
  | FromFiles;

/** A reward model, or a classifier to be trained on labelled data: what a run finds or makes when it starts. */
export type ScoringModelOrigin =
  | FromRun
  | FromArtifact
  | FromPath
  | FromAdapter
  | { readonly from: 'gold'; readonly data: DataOrigin };

/** A scorer that is no model of ours: the operator declared it, and a run only names it. */
export interface FromDeclaration {
  readonly from: 'declared';
  readonly name: string;
}

export type ScorerOrigin = ScoringModelOrigin | FromDeclaration;

export type Source = ModelOrigin | DataOrigin | ScorerOrigin;

interface Origins {
  readonly model: ModelOrigin;
  readonly data: DataOrigin;
  readonly scorer: ScorerOrigin;
}

const RUN = 'run:';
const VERSIONED_RUN = /^run:([^@]+)@(\d+)$/;
const GOLD = 'gold:';
const FEEDBACK = 'feedback:';
const DECLARED = 'declared:';
const BUNDLED = 'bundled';
const BUNDLED_SET = 'bundled:';
const ARTIFACT = /^artifact:([0-9a-f]{64})$/;
const ADAPTER = /^adapter:(.+) on (.+)$/s;

/**
 * Parses the source that a configuration names. It never fails: any text without a known form is a path.
 *
 * @example parseSource('scorer', 'gold:bundled') // { from: 'gold', data: { from: 'bundled' } }
 * @example parseSource('model', 'run:my-ppo@40') // { from: 'run', run: 'my-ppo', version: 40 }
 * @example parseSource('model', 'adapter:./lora on ./smollm2') // { from: 'adapter', adapter: { from: 'path', path: './lora' }, base: ... }
 */
export function parseSource<Kind extends SourceKind>(
  kind: Kind,
  written: string | NewModel | readonly string[],
): Origins[Kind];
export function parseSource(kind: SourceKind, written: string | NewModel | readonly string[]): Source {
  if (isList(written))
    return written.length === 1 ? parseSource(kind, written[0]!) : { from: 'files', paths: written };
  if (typeof written !== 'string') return { from: 'new', shape: written };
  const [, run, version] = (kind !== 'data' && VERSIONED_RUN.exec(written)) || [];
  if (run !== undefined) return { from: 'run', run, version: Number(version) };
  if (written.startsWith(RUN)) return { from: 'run', run: written.slice(RUN.length) };
  switch (kind) {
    case 'data':
      if (written === BUNDLED) return { from: 'bundled' };
      if (written.startsWith(BUNDLED_SET)) return { from: 'bundled', set: written.slice(BUNDLED_SET.length) };
      if (written.startsWith(FEEDBACK))
        return { from: 'feedback', collection: written.slice(FEEDBACK.length) };
      break;
    case 'scorer':
      if (written.startsWith(GOLD))
        return { from: 'gold', data: parseSource('data', written.slice(GOLD.length)) };
      if (written.startsWith(DECLARED)) return { from: 'declared', name: written.slice(DECLARED.length) };
      return parseSource('model', written) as ScorerOrigin;
    case 'model': {
      const [, adapter, base] = ADAPTER.exec(written) ?? [];
      if (adapter !== undefined)
        return { from: 'adapter', adapter: storedSource(adapter), base: storedSource(base!) };
      return storedSource(written);
    }
  }
  return { from: 'path', path: written };
}

/** `Array.isArray` tells TypeScript nothing of lists that are not to be changed. */
const isList = (written: unknown): written is readonly string[] => Array.isArray(written);

function storedSource(written: string): FromPath | FromArtifact {
  const sha256 = ARTIFACT.exec(written)?.[1];
  return sha256 === undefined ? { from: 'path', path: written } : { from: 'artifact', sha256 };
}

/** Writes a source as configurations do, the inverse of `parseSource`; a new model is shown as YAML. */
export function sourceText(source: Source): string {
  switch (source.from) {
    case 'run':
      return `${RUN}${runName(source)}`;
    case 'artifact':
      return `artifact:${source.sha256}`;
    case 'adapter':
      return `adapter:${sourceText(source.adapter)} on ${sourceText(source.base)}`;
    case 'bundled':
      return source.set === undefined ? BUNDLED : `${BUNDLED_SET}${source.set}`;
    case 'feedback':
      return `${FEEDBACK}${source.collection}`;
    case 'declared':
      return `${DECLARED}${source.name}`;
    case 'gold':
      return `${GOLD}${sourceText(source.data)}`;
    case 'path':
      return source.path;
    case 'files':
      return source.paths.join(', ');
    case 'new': {
      const { architecture, ...shape } = source.shape;
      return `{ ${Object.entries(architecture === 'gpt2' ? shape : source.shape)
        .map(([key, value]) => `${key}: ${value}`)
        .join(', ')} }`;
    }
  }
}

/** A run and the version of it that is named, as `my-ppo@40`. */
export const runName = ({ run, version }: FromRun): string =>
  version === undefined ? run : `${run}@${version}`;

/** The paths on this machine that a source reads; for a gold reward those of its data. */
export function pathsOf(source: Source): string[] {
  switch (source.from) {
    case 'path':
      return [source.path];
    case 'files':
      return [...source.paths];
    case 'gold':
      return pathsOf(source.data);
    case 'adapter':
      return [...pathsOf(source.adapter), ...pathsOf(source.base)];
    default:
      return [];
  }
}

/** The same source with other paths in place of those that it reads. */
export function withPaths<From extends Source>(source: From, other: (path: string) => string): From;
export function withPaths(source: Source, other: (path: string) => string): Source {
  switch (source.from) {
    case 'path':
      return { from: 'path', path: other(source.path) };
    case 'files':
      return { from: 'files', paths: source.paths.map(other) };
    case 'gold':
      return { from: 'gold', data: withPaths(source.data, other) };
    case 'adapter':
      return {
        from: 'adapter',
        adapter: withPaths(source.adapter, other),
        base: withPaths(source.base, other),
      };
    default:
      return source;
  }
}

import type { ArtifactRef } from '@rlhf-streams/artifacts';
import type { Probe } from '@rlhf-streams/service';
import { beforeEach, expect, it } from 'vitest';
import { loadArtifacts } from './loaded-artifacts.js';

const refOf = (name: string): ArtifactRef => ({ uri: `artifact:${name}`, sha256: name });
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(refOf) as [ArtifactRef, ArtifactRef, ArtifactRef, ArtifactRef];

let memory: string[];
let loads: string[];
let wanted: Set<string>;
let isCutOff: boolean;
let ready: Probe;
const failed: unknown[] = [];

function createReferences() {
  return loadArtifacts(
    {
      artifacts: {
        fetch: async ({ sha256 }: ArtifactRef) => {
          if (isCutOff) throw Object.assign(new Error('no store'), { code: 'ARTIFACT_STORE_UNAVAILABLE' });
          return `/${sha256}`;
        },
      } as Parameters<typeof loadArtifacts>[0]['artifacts'],
      readiness: {
        check: (name, probe) => {
          expect(name).toBe('references');
          ready = probe;
        },
      },
      signal: new AbortController().signal,
      fail: (error) => failed.push(error),
    },
    {
      what: 'reference',
      load: async ({ sha256 }, directory) => {
        loads.push(directory);
        memory.push(sha256);
        return sha256.toUpperCase();
      },
      unload: async ({ sha256 }) => {
        memory = memory.filter((name) => name !== sha256);
      },
      isWanted: ({ sha256 }) => wanted.has(sha256),
    },
  );
}

beforeEach(() => {
  memory = [];
  loads = [];
  wanted = new Set();
  isCutOff = false;
});

const named = async (loaded: string) => loaded;

it('loads an artifact once, for all who use it', async () => {
  const references = createReferences();
  expect(await Promise.all([references.use(a, named), references.use(a, named)])).toEqual(['A', 'A']);
  expect(await references.use(a, named)).toBe('A');
  expect(loads).toEqual(['/a']);
});

it('keeps what is wanted or in use, and of the rest what was used last', async () => {
  wanted.add('a');
  const references = createReferences();
  await references.use(a, named);
  let release = () => {};
  const using = references.use(
    b,
    () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
  );
  for (const name of ['c', 'd', 'e', 'c', 'f']) await references.use(refOf(name), named);
  expect(memory.toSorted()).toEqual(['a', 'b', 'c', 'e', 'f']);
  release();
  await using;
  wanted.clear();
  await references.use(refOf('g'), named);
  expect(memory.toSorted()).toEqual(['c', 'f', 'g']);
  expect(failed).toEqual([]);
});

it('that cannot be fetched are unavailable, said so while a run wants them, and fetched again', async () => {
  const references = createReferences();
  wanted.add('c');
  isCutOff = true;
  for (const artifact of [c, d])
    await expect(references.use(artifact, named)).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: `expected reference ${artifact.sha256} to be fetched: no store`,
    });
  expect(await ready()).toBe('expected reference c to be fetched: no store');
  isCutOff = false;
  expect(await references.use(c, named)).toBe('C');
  expect(await ready()).toBe(true);
});

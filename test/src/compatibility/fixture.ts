/** What earlier versions left on the disk, as they left it. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { ArtifactRef, Build } from '@rlhf-streams/events';
import type { RunConfig } from '@rlhf-streams/runs';
import type { Platform } from 'rlhf-streams';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));

/** Keeps every record: a log that is older than a week would lose those of the runs' work as soon as it is opened. */
export const topicsFile = join(fixtures, 'topics.yaml');

/** A run as the gateway shows it, as far as tests look into it; they compare the rest as it is. */
export interface View {
  readonly run: string;
  readonly config: RunConfig;
  readonly build?: Build;
  readonly artifacts?: Readonly<Record<string, ArtifactRef>>;
  readonly policy?: { readonly artifact: ArtifactRef };
  readonly metrics?: { readonly metrics: Readonly<Record<string, number>> };
}

/** What a fixture must be read as. */
export interface Expected {
  /** The build that made it, as its checkpoints name it; absent where they name none. */
  readonly build?: Build;
  /** SHA-256 of the model.safetensors of each run's newest version. */
  readonly weights: Readonly<Record<string, string>>;
  /** What the gateway shows of each run. */
  readonly runs: readonly View[];
  /** The number of events of each type. */
  readonly events: Readonly<Record<string, number>>;
}

/** Lays out one life of a fixture in a folder as its process left it. */
export async function layOut(
  fixture: string,
  life: 'finished' | 'stopped',
  directory: string,
): Promise<void> {
  await mkdir(join(directory, 'log'), { recursive: true });
  const log = await readFile(join(fixtures, fixture, `${life}.data.mdb.gz`));
  await writeFile(join(directory, 'log', 'data.mdb'), gunzipSync(log));
  await cp(join(fixtures, fixture, 'artifacts'), join(directory, 'artifacts'), { recursive: true });
}

export const expectedOf = async (fixture: string): Promise<Expected> =>
  JSON.parse(await readFile(join(fixtures, fixture, 'expected.json'), 'utf8'));

export async function gateway({ services }: Pick<Platform, 'services'>, path: string): Promise<unknown> {
  const response = await services.find(({ name }) => name === 'gateway')!.request(path);
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

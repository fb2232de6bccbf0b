import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { unlessMissing } from '@rlhf-streams/files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refOf } from '../conformance/harness.js';
import { artifactConformance } from '../conformance/index.js';
import { filesystemArtifacts } from './index.js';
import { layoutOf } from './layout.js';

artifactConformance('filesystem', {
  async create() {
    const directory = await mkdtemp(join(tmpdir(), 'artifacts-'));
    const layout = layoutOf(directory);
    return {
      open: () => filesystemArtifacts({ directory }),
      list: (kind) => layout.list(kind),
      tamper: async (kind, sha256, content) => {
        const path = layout[kind](sha256);
        if (content === undefined) return rm(path);
        await mkdir(dirname(path), { recursive: true });
        await unlessMissing(chmod(path, 0o644));
        await writeFile(path, content);
      },
      age: async (ms) => {
        for (const kind of ['blob', 'manifest'] as const) {
          for (const sha256 of await layout.list(kind)) {
            const path = layout[kind](sha256);
            const then = new Date((await stat(path)).mtimeMs - ms);
            await utimes(path, then, then);
          }
        }
      },
      cleanup: () => rm(directory, { recursive: true }),
    };
  },
});

describe('the filesystem store', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'artifacts-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const open = () => filesystemArtifacts({ directory });

  it('keeps equal content once, and leaves nothing aside', async () => {
    const files = { one: 'same', two: 'same', three: 'other' };
    const [ref] = await Promise.all(Array.from({ length: 8 }, () => open().putFiles(files)));
    await Promise.all(Array.from({ length: 8 }, () => open().fetch(ref!)));
    expect(await readdir(join(directory, 'temporary'))).toEqual([]);
    await open().collect([], { graceMs: 0 });
    expect(await readdir(join(directory, 'folders'))).toEqual([]);
  });

  it('recovers from changed bytes when the artifact is put again', async () => {
    const ref = await open().putFiles({ weights: 'weights' });
    const fetched = await open().fetch(ref);
    await chmod(join(fetched, 'weights'), 0o644);
    await writeFile(join(fetched, 'weights'), 'damaged');
    await expect(open().fetch(ref)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    await open().putFiles({ weights: 'weights' });
    await expect(open().fetch(ref)).resolves.toBe(fetched);
  });

  it('leaves whole artifacts or none when the writer is killed', async () => {
    const child = fileURLToPath(new URL('./put-forever.test.child.js', import.meta.url));
    const announced = new Set<string>();
    for (const puts of [1, 2, 4]) {
      const writer = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = once(writer, 'exit');
      let seen = 0;
      for await (const line of createInterface({ input: writer.stdout })) {
        announced.add(line);
        if (++seen === puts) writer.kill('SIGKILL');
      }
      expect(await exit).toEqual([null, 'SIGKILL']);
    }

    const found = await layoutOf(directory).list('manifest');
    expect(new Set(found)).toEqual(new Set([...found, ...announced]));
    for (const sha256 of found) await open().fetch(refOf(sha256));

    await open().collect([...announced].map(refOf), { graceMs: 0 });
    expect(await readdir(join(directory, 'temporary'))).toEqual([]);
    expect((await layoutOf(directory).list('manifest')).sort()).toEqual([...announced].sort());
    for (const sha256 of announced) {
      const fetched = await open().fetch(refOf(sha256));
      expect((await stat(join(fetched, 'weights/a.bin'))).size).toBe(2_000_000);
    }
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { open as openLmdb } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { numbered, readAll } from '../conformance/harness.js';
import { openEnvironment } from './environment.js';
import { embeddedLog } from './index.js';

const holder = fileURLToPath(new URL('./holder.test.child.js', import.meta.url));
const children: ChildProcess[] = [];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'log-'));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  await rm(directory, { recursive: true, force: true });
});

/** Another process that opens the folder: what it says, and the process. */
async function openElsewhere(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [holder, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const [said] = await once(createInterface({ input: child.stdout! }), 'line');
  return { child, said };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function writeOwner(owner: object): Promise<void> {
  const root = openEnvironment(directory);
  await root.openDB({ name: 'meta', encoding: 'json' }).put('owner', owner);
  await root.close();
}

describe('the lock of a folder', () => {
  it('is held by one process, named to the others, and free when that is killed', async () => {
    const { child, said } = await openElsewhere();
    expect(said).toBe('open');
    const refused = await embeddedLog({ directory }).catch((error) => error);
    expect(refused).toMatchObject({ code: 'LOG_LOCKED' });
    expect(refused.message).toContain(directory);
    expect(refused.message).toContain(`process ${child.pid}`);
    await kill(child);
    const log = await embeddedLog({ directory });
    expect((await openElsewhere()).said).toBe('LOG_LOCKED');
    await log.close();
    expect((await openElsewhere()).said).toBe('open');
  });

  it('goes to one of those who ask at the same time', async () => {
    const answers = await Promise.all([1, 2, 3].map(openElsewhere));
    expect(answers.map(({ said }) => said).toSorted()).toEqual(['LOG_LOCKED', 'LOG_LOCKED', 'open']);
  });

  it('holds within a process too, and a refused opening does not disturb the first', async () => {
    const log = await embeddedLog({ directory });
    await log.ensureTopics([{ name: 'topic', partitions: 1, cleanup: 'delete' }]);
    await log.publish(numbered('topic', 5));
    for (let i = 0; i < 2; i++)
      await expect(embeddedLog({ directory: join(directory, '.') })).rejects.toMatchObject({
        code: 'LOG_LOCKED',
        message: expect.stringContaining(`process ${process.pid}`),
      });
    await log.publish(numbered('topic', 5));
    expect(await readAll(log, ['topic'])).toHaveLength(10);
    await log.close();
    await (await embeddedLog({ directory })).close();
  });

  it.runIf(process.platform === 'linux')(
    'is stale when the pid is another process by now, even ours',
    async () => {
      await (await embeddedLog({ directory })).close();
      const other = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      children.push(other);
      await once(other, 'spawn');
      for (const pid of [process.pid, other.pid]) {
        await writeOwner({ pid, started: 'an earlier boot/17' });
        await (await embeddedLog({ directory })).close();
      }
    },
  );
});

describe('a folder that is no sound log', () => {
  const corrupt = { code: 'LOG_CORRUPT' };
  const data = () => join(directory, 'data.mdb');

  async function writeLog(): Promise<void> {
    const log = await embeddedLog({ directory });
    await log.ensureTopics([{ name: 'topic', partitions: 2, cleanup: 'delete' }]);
    await log.publish(numbered('topic', 2_000));
    await log.close();
  }

  it.each(['x', 'not a database '.repeat(5_000)])(
    'is refused: a file of something else (%#)',
    async (content) => {
      await writeFile(data(), content);
      await expect(embeddedLog({ directory })).rejects.toMatchObject(corrupt);
    },
  );

  it.each([0.01, 0.5, 0.9])('is refused: a file cut to %d of its length', async (share) => {
    await writeLog();
    await truncate(data(), Math.floor((await stat(data())).size * share));
    await expect(embeddedLog({ directory })).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringContaining(directory),
    });
  });

  it("is refused: another program's database, which stays as it was", async () => {
    const foreign = openLmdb({ path: directory, noSubdir: false });
    await foreign.openDB({ name: 'recipes' }).put('soup', 'water');
    await foreign.close();
    await expect(embeddedLog({ directory })).rejects.toMatchObject(corrupt);
    const still = openLmdb({ path: directory, noSubdir: false });
    expect([...still.getKeys()]).toEqual(['recipes']);
    await still.close();
  });

  it('is refused: a log of another format, or one whose records are missing', async () => {
    await writeLog();
    const root = openEnvironment(directory);
    await root.openDB({ name: 'bounds', encoding: 'json' }).put(['topic', 0], { earliest: 0, latest: 1e6 });
    await root.close();
    await expect(embeddedLog({ directory })).rejects.toMatchObject(corrupt);
    const again = openEnvironment(directory);
    await again.openDB({ name: 'meta', encoding: 'json' }).put('format', { name: 'other', version: 1 });
    await again.close();
    await expect(embeddedLog({ directory })).rejects.toMatchObject(corrupt);
  });

  it('is refused, and stays as it was: one that a newer build wrote', async () => {
    await writeLog();
    const format = { name: 'rlhf-streams-log', version: 2 };
    const root = openEnvironment(directory);
    await root.openDB({ name: 'meta', encoding: 'json' }).put('format', format);
    await root.close();
    await expect(embeddedLog({ directory })).rejects.toMatchObject({
      code: 'LOG_TOO_NEW',
      message: expect.stringMatching(/format 1, got format 2, .*upgrade/),
    });
    const again = openEnvironment(directory);
    const meta = again.openDB({ name: 'meta', encoding: 'json' });
    expect([meta.get('format'), meta.get('owner')]).toEqual([format, undefined]);
    await again.close();
  });

  it('is refused: a file in place of the folder', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(embeddedLog({ directory: join(directory, 'file') })).rejects.toMatchObject(corrupt);
  });

  it('is not: a copy, nor a folder with an unfinished, empty data file, or with a dot in its name', async () => {
    await writeLog();
    const copy = join(directory, 'run.v1');
    await mkdir(copy);
    await copyFile(data(), join(copy, 'data.mdb'));
    const log = await embeddedLog({ directory: copy });
    expect(await readAll(log, ['topic'])).toHaveLength(2_000);
    await log.close();
    const fresh = join(directory, 'fresh');
    await mkdir(fresh);
    await writeFile(join(fresh, 'data.mdb'), '');
    await (await embeddedLog({ directory: fresh })).close();
  });
});

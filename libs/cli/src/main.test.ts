import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/rlhf-streams.js', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs the command in a folder of its own. */
const rlhfStreams = (...args: string[]) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [bin, ...args],
      { cwd: folder, timeout: 30_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });

describe('rlhf-streams', () => {
  it('--help names every command', async () => {
    const { code, stdout } = await rlhfStreams('--help');
    expect(code).toBe(0);
    for (const command of ['quickstart', 'run', 'methods', 'export', 'serve', 'topics'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it.each([
    ['an unknown option', ['quickstart', '--fast'], "unknown option '--fast'"],
    ['an unknown command', ['train'], "unknown command 'train'"],
    ['a missing argument', ['run'], "missing required argument 'file'"],
    ['a bad value', ['quickstart', '--seed', '-1.5'], 'expected a whole number of at least 0'],
    ['a missing file', ['run', 'no.yaml'], 'no.yaml to be a readable file'],
    ['an unknown method', ['methods', 'poo'], 'got poo: did you mean ppo?'],
    ['no runs to export from', ['export', 'sft', 'model'], 'runs/default, which has no log'],
    ['a missing file of topics', ['topics', 'apply', '--file', 'no.yaml'], 'to be a readable file'],
    [
      'no experiment to go on with',
      ['quickstart', '--resume', '--directory', 'new'],
      'CLI_NOTHING_TO_RESUME',
    ],
  ])('%s is refused with exit code 2, and nothing is written', async (_, args, said) => {
    const { code, stderr } = await rlhfStreams(...args);
    expect(stderr).toContain(said);
    expect(code).toBe(2);
    expect(await readdir(folder)).toEqual([]);
  });

  it('a mistake in a run file is named before anything is started', async () => {
    await writeFile(
      join(folder, 'runs.yaml'),
      'run: r\nmethod: sft\nsteps: 1\nmodel: folder\ndata: bundled\nlr: 1\n',
    );
    const { code, stderr } = await rlhfStreams('run', 'runs.yaml');
    expect(stderr).toMatch(
      /error runs\.yaml is not a run's configuration:\n {2}lr: no such setting; learningRate belongs in optimizer.*\(CLI_FILE_INVALID\)/s,
    );
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(2);
    expect(await readdir(folder)).toEqual(['runs.yaml']);
  });

  it('topics: 3 while they differ from what is wanted, 0 once they do not', async () => {
    for (const [action, code] of [
      ['plan', 3],
      ['apply', 0],
      ['plan', 0],
    ] as const)
      expect(await rlhfStreams('topics', action, '--directory', 'here')).toMatchObject({ code });
  });
});

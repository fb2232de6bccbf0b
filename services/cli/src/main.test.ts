import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command, startCommand } from './command.test.support.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Does the command in a folder of its own. */
const rlhfStreams = (...args: string[]) => command(folder, args);

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
    ['an unknown command of topics', ['topics', 'foo'], "unknown command 'foo'"],
    ['topics without a command', ['topics'], 'plan [options]'],
    ['limits that are none', ['quickstart', '--allow', 'cut=1,rows=1'], 'shares from 0 to 1'],
    ['to go on and to start over', ['quickstart', '--resume', '--force'], 'cannot be used with'],
    ['a port without room for the others', ['serve', '--port', '65531'], 'at most 65530'],
    ['a port that is none', ['serve', '--port', 'http'], 'expected a whole number'],
    ['a run file that is missing', ['run', 'no.yaml'], `${sep}no.yaml to be a readable file`],
    ['a missing file of topics', ['topics', 'apply', '--file', 'no.yaml'], `${sep}no.yaml, which`],
    ['data that are missing', ['quickstart', '--data', 'no.jsonl'], `${sep}no.jsonl; check the path`],
    ['a collection where nothing is', ['artifacts', 'gc', '--dry-run'], 'there is nothing there'],
    ['a replay where nothing is', ['replay', 'r'], `${join('runs', 'default')} to hold runs`],
    [
      'an extension where nothing is',
      ['extend', 'r', '--steps', '5'],
      `${join('runs', 'default')} to hold runs`,
    ],
    ['an extension by nothing', ['extend', 'r'], 'expected --steps or --epochs, got neither'],
    ['an extension by both', ['extend', 'r', '--steps', '5', '--epochs', '2'], 'cannot be used with'],
    ['an extension by no number', ['extend', 'r', '--epochs', 'two'], 'expected a number above 0'],
    ['an unknown method', ['methods', 'poo'], 'got poo: did you mean ppo?'],
    ['no runs to export from', ['export', 'sft', 'model'], 'runs/default, which has no log'],
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

  it('--version is that of the package', async () => {
    expect(await rlhfStreams('--version')).toMatchObject({ code: 0, stdout: '0.1.0\n' });
  });

  it('as a process exits with the same codes, in words alone', async () => {
    expect(await startCommand(folder, ['--version']).ended).toEqual({
      code: 0,
      stdout: '0.1.0\n',
      stderr: '',
    });
    const refused = await startCommand(folder, ['run', 'no.yaml']).ended;
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(/^error [^\n]*no\.yaml[^\n]*\n$/);
  });

  it('a plan of topics leaves nothing behind', async () => {
    const { code, stdout } = await rlhfStreams('topics', 'plan');
    expect(stdout).toContain(`There is no log in ${join(folder, 'runs', 'default')}`);
    expect(code).toBe(3);
    expect(await readdir(folder)).toEqual([]);
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

/** Commands that go on until they are done, as processes: who has a folder, what ends them, and what they say then. */

import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpoint } from '@rlhf-streams/model';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { command, type Started, start, startCommand } from './command.test.support.js';

const workspace = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
const running: Started[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-'));
});
afterEach(async () => {
  for (const each of running.splice(0)) {
    each.kill('SIGKILL');
    await each.ended;
  }
  await rm(folder, { recursive: true });
});

let unansweredIn: string;
let unanswered: Started;
/** It waits for a broker while the other tests run. */
beforeAll(async () => {
  unansweredIn = await mkdtemp(join(tmpdir(), 'rlhf-streams-'));
  const config = 'run: r\nmethod: sft\nsteps: 1\nmodel: { layers: 1 }\ndata: bundled\n';
  await writeFile(join(unansweredIn, 'run.yaml'), config);
  unanswered = startCommand(unansweredIn, ['run', 'run.yaml', '--brokers', 'localhost:1']);
});
afterAll(async () => {
  unanswered.kill('SIGKILL');
  await unanswered.ended;
  await rm(unansweredIn, { recursive: true });
});

const begin = (...args: string[]): Started => {
  const started = startCommand(folder, args);
  running.push(started);
  return started;
};

/** On a busy machine a command says what it waits for. */
const withoutWaits = (stderr: string): string => stderr.replaceAll(/^waiting for .*\n/gm, '');

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );

describe('quickstart', () => {
  it('has its folder to itself, is interrupted in one line, and goes on as that line says', async () => {
    const first = begin('quickstart', '--short', '--directory', 'here');
    await first.said(/^· 1\/5 SFT begins$/m);
    for (const how of [['--force'], ['--resume']]) {
      const second = await begin('quickstart', '--short', '--directory', 'here', ...how).ended;
      expect(second.stderr).toMatch(
        new RegExp(`^error The log in .*/here/log is open in process ${first.pid}: .*\\(LOG_LOCKED\\)\n$`),
      );
      expect(second.code).toBe(1);
    }
    first.kill('SIGINT');
    // As npm does with what its terminal has signalled too.
    first.kill('SIGINT');
    const { code, stdout, stderr } = await first.ended;
    expect(withoutWaits(stderr)).toBe(
      'interrupted: what is done is kept; to go on: rlhf-streams quickstart --resume --short --directory here\n',
    );
    // How far the stages have come by then is a matter of the machine's speed.
    expect(stdout).toMatch(/^– [1-5]\/5 /m);
    expect(code).toBe(130);

    const third = await command(folder, ['quickstart', '--short', '--directory', 'here']);
    expect(third.stderr).toMatch(
      /^error this experiment is there already, in .*\/here, not finished: .*--resume.*--force/,
    );
    expect(third.code).toBe(2);
    const again = begin('quickstart', '--resume', '--short', '--directory', 'here');
    await again.said(/^Everything is written to .*\/here$/m);
    await again.said(/^· 1\/5 SFT begins$/m);
    again.kill('SIGTERM');
    expect((await again.ended).code).toBe(130);
  });

  it('trains adapters where it is told to, and writes each merged, as a model like any other', async () => {
    const { code, stdout } = await command(folder, [
      'quickstart',
      '--short',
      '--lora',
      '--directory',
      'here',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/gpt2 with adapters/);
    const [sft, ppo, dpo] = await Promise.all(
      ['sft', 'ppo', 'dpo'].map(async (name) => {
        const { tensors } = await readCheckpoint(join(folder, 'here/checkpoints', name));
        return tensors;
      }),
    );
    for (const trained of [ppo, dpo]) {
      expect([...trained!.keys()]).toEqual([...sft!.keys()]);
      expect(trained).not.toEqual(sft);
    }
  });

  it('checks everything before it touches an experiment that it is told to replace', async () => {
    await writeFile(join(folder, 'quickstart.json'), '{"data":"bundled","seed":0,"short":false}');
    await writeFile(join(folder, 'report.html'), 'results');
    await writeFile(join(folder, 'texts.jsonl'), '{"text":"a b c d e f","label":1}\n'.repeat(50));
    const before = await readdir(folder);
    for (const [said, ...args] of [
      ['DATA_NOT_FOUND', '--data', 'no.jsonl'],
      ['CLI_DATA_UNFIT', '--data', 'texts.jsonl'],
      ['shares from 0 to 1', '--allow', 'cut=2'],
      ['CLI_EXPERIMENT_EXISTS', '--seed', '7'],
    ] as const) {
      const force = said === 'CLI_EXPERIMENT_EXISTS' ? [] : ['--force'];
      const { code, stderr } = await command(folder, ['quickstart', '--directory', '.', ...force, ...args]);
      expect(stderr).toContain(said);
      expect(code).toBe(2);
      expect(await readFile(join(folder, 'report.html'), 'utf8')).toBe('results');
    }
    const mistaken = startCommand(folder, ['quickstart', '--directory', '.', '--force'], {
      LOG_LEVEL: 'loud',
    });
    expect((await mistaken.ended).stderr).toContain('LOG_LEVEL');
    expect((await readdir(folder)).filter((name) => name !== 'log')).toEqual(before);
  });
});

describe('run', () => {
  it('tells a mistake that is found later in one line, with its own code, and exits with 2', async () => {
    const config = 'method: sft\nsteps: 1\nmodel: { layers: 1, width: 32, heads: 2 }\ndata: no.jsonl\n';
    await writeFile(join(folder, 'run.yaml'), `run: mistaken\n${config}`);
    const { code, stdout, stderr } = await begin('run', 'run.yaml').ended;
    expect(withoutWaits(stderr)).toBe(
      `error run mistaken failed: no.jsonl: no such file, looked for ${join(folder, 'no.jsonl')}; check the path (DATA_NOT_FOUND)\n`,
    );
    expect(stdout).toMatch(/^· sft mistaken begins\n✗ sft mistaken /m);
    expect(code).toBe(2);
  });

  it('looks at the files of later runs before the first is done', async () => {
    const config = 'method: sft\nsteps: 1\nmodel: { layers: 1, width: 32, heads: 2 }\n';
    const runs = [`run: first\n${config}data: bundled\n`, `run: second\n${config}data: no.jsonl\n`];
    await writeFile(join(folder, 'run.yaml'), runs.join('---\n'));
    const { code, stdout, stderr } = await command(folder, ['run', 'run.yaml']);
    expect(withoutWaits(stderr)).toMatch(/^error run second cannot be done: no\.jsonl: no such file, .*\n$/);
    expect(stdout).not.toContain('begins');
    expect(code).toBe(2);
  });

  it('says soon that no broker answers, and leaves nothing behind', async () => {
    const { code, stderr } = await unanswered.ended;
    expect(stderr).toContain('waiting for Kafka at localhost:1');
    expect(stderr).toMatch(/within 10000 ms.*ECONNREFUSED.*localhost:1.*\(LOG_UNAVAILABLE\)/);
    expect(code).toBe(1);
    expect(await readdir(unansweredIn)).toEqual(['run.yaml']);
  });
});

describe('serve', () => {
  it('says where it listens, and names the option when a port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const refused = await begin('serve', '--port', String(port), '--directory', 'd').ended;
    taken.close();
    expect(refused.stderr).toMatch(
      new RegExp(`taken are ${port} \\(gateway\\).*: set --port .*\\(CLI_CANNOT_LISTEN\\)`),
    );
    expect(refused.code).toBe(2);
    expect(await readdir(folder)).toEqual([]);

    const open = startCommand(folder, ['serve', '--port', '0'], { HOST: '0.0.0.0' });
    running.push(open);
    const [, url] = await open.said(/^gateway +(\S+)$/m);
    expect(await answers(url!)).toBe(true);
    await open.said(/^Listening at every address of this machine \(0\.0\.0\.0\): .*no authentication\.$/m);
    open.kill('SIGTERM');
    expect((await open.ended).code).toBe(0);
  });

  it.skipIf(process.platform === 'win32')('ends when the npx that started it is ended', async () => {
    const npx = start('npx', ['rlhf-streams', 'serve', '--port', '0', '--directory', join(folder, 'd')], {
      cwd: workspace,
    });
    running.push(npx);
    const [, url] = await npx.said(/^gateway +(\S+)$/m);
    npx.kill('SIGTERM');
    await vi.waitFor(async () => expect(await answers(url!)).toBe(false), { timeout: 60_000, interval: 50 });
    // The output of npx closes only when the server, which shares it, is gone too.
    await npx.ended;
  });
});

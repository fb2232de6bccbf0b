import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { type ProgressLine, progressLine } from './progress.js';

const step = (step: number, metrics: Record<string, number>, split: 'train' | 'test' = 'train') => ({
  run: 'r',
  step,
  policyVersion: step + 1,
  split,
  metrics,
});
const started = { run: 'r', config: {}, steps: 2, testItems: 0, models: {}, artifacts: {}, from: {} };
const waiting = {
  run: 'r',
  step: 1,
  waitingFor: { rewards: 3, rollouts: 1 },
  sinceMs: 15_200,
  deadlineMs: 600_000,
};

/** What a line shows on an output, colours left out. */
async function shown(
  terminal: { columns: number } | undefined,
  use: (line: ReturnType<typeof progressLine>) => void,
  method = 'dpo' as const,
) {
  const out = Object.assign(new PassThrough(), terminal && { isTTY: true, ...terminal });
  use(progressLine({ label: '4/5 DPO', method, steps: 2 }, out as unknown as NodeJS.WriteStream));
  out.end();
  return text(out);
}

describe('on a file or a pipe', () => {
  it('is a line when it begins and one at the end: steps, seconds, the last training metrics and those of the held-out items', async () => {
    const output = await shown(undefined, (line) => {
      line.step!(step(0, { loss: 0.7 }));
      line.step!(step(1, { loss: 0.5, 'rewards/accuracies': 0.75, 'rewards/margins': 0.125, grad_norm: 9 }));
      line.step!(step(2, { 'eval/rewards/accuracies': 0.625 }, 'test'));
      line.done();
    });
    expect(stripVTControlCharacters(output)).toMatch(
      /^· 4\/5 DPO begins\n✓ 4\/5 DPO +2\/2 steps +\d+\.\d s +loss 0\.500 {2}accuracy 0\.750 {2}margin 0\.125 {2}held-out accuracy 0\.625\n$/,
    );
  });

  it('shows no sign of what it rounds to zero', async () => {
    const output = await shown(undefined, (line) => {
      line.step!(step(0, { loss: -0.0004, 'rewards/margins': -0.0006 }));
      line.done();
    });
    expect(stripVTControlCharacters(output)).toMatch(/loss 0\.000 {2}margin -0\.001\n$/);
  });

  it('counts the steps that the run was started with', async () => {
    const output = await shown(undefined, (line) => {
      line.started!({ ...started, steps: 1 }, Date.now());
      line.step!(step(0, { loss: 0.7 }));
      line.done();
    });
    expect(stripVTControlCharacters(output)).toContain(' 1/1 steps ');
  });

  it('tells at once what became of the rows, where some were lost', async () => {
    const dropped = { 'longer than the context of 64 tokens': 48 };
    const started = { run: 'r', config: {}, steps: 1, testItems: 0, models: {}, artifacts: {}, from: {} };
    const output = await shown(undefined, (line) => {
      line.started!({ ...started, data: { read: 64, used: 16, cut: 0, dropped } }, Date.now());
      line.started!({ ...started, data: { read: 64, used: 64, cut: 0, dropped: {} } }, Date.now());
    });
    expect(stripVTControlCharacters(output)).toBe(
      '· 4/5 DPO begins\n  4/5 DPO: 64 rows: 16 used, 48 dropped (longer than the context of 64 tokens)\n',
    );
  });

  it('tells at once of a wait, and for what', async () => {
    const output = await shown(undefined, (line) => line.waiting!(waiting));
    expect(stripVTControlCharacters(output)).toBe(
      '· 4/5 DPO begins\n4/5 DPO:  waiting 15 s for 3 rewards, 1 rollouts\n',
    );
  });

  it.each([
    ['failed', '✗', (line: ProgressLine) => line.abandon()],
    ['goes on another time', '–', (line: ProgressLine) => line.leave()],
  ])('marks a run that %s', async (_, mark, end) => {
    const output = await shown(undefined, (line) => {
      line.waiting!(waiting);
      line.step!(step(0, { loss: 0.7 }));
      end(line);
    });
    expect(stripVTControlCharacters(output)).toMatch(
      new RegExp(`\\n${mark} 4/5 DPO +1/2 steps .*loss 0\\.700\\n$`),
    );
  });

  it('tells how long a run took that went on before its line, and ended before it', async () => {
    vi.useFakeTimers();
    try {
      const since = performance.now();
      vi.advanceTimersByTime(60_000);
      const out = new PassThrough() as unknown as NodeJS.WriteStream;
      const line = progressLine({ label: 'DPO', method: 'dpo', steps: 2, since }, out);
      line.started!(started, Date.now() - 50_000);
      line.step!(step(1, {}));
      line.completed!(Date.now() - 20_000);
      line.done();
      out.end();
      expect(stripVTControlCharacters(await text(out))).toMatch(/\n✓ DPO +2\/2 steps +30\.0 s/);
    } finally {
      vi.useRealTimers();
    }
  });

  it('counts no time before the command began', async () => {
    const output = await shown(undefined, (line) => {
      line.started!(started, Date.now() - 86_400_000);
      line.completed!(Date.now() - 80_000_000);
      line.done();
    });
    expect(stripVTControlCharacters(output)).toMatch(/ 0\.0 s/);
  });

  it('tells every 30 s how far it is, until it ends', async () => {
    vi.useFakeTimers();
    try {
      const output = await shown(undefined, (line) => {
        vi.advanceTimersByTime(30_000);
        line.started!(started, Date.now());
        line.step!(step(0, { loss: 0.7 }));
        vi.advanceTimersByTime(59_999);
        line.step!(step(1, { loss: 0.5 }));
        line.done();
        vi.advanceTimersByTime(60_000);
      });
      expect(stripVTControlCharacters(output).replace(/ +/g, ' ').split('\n')).toEqual([
        '· 4/5 DPO begins',
        '· 4/5 DPO 0/2 steps 30.0 s being prepared',
        '· 4/5 DPO 1/2 steps 60.0 s loss 0.700',
        '✓ 4/5 DPO 2/2 steps 90.0 s loss 0.500',
        '',
      ]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('on a terminal', () => {
  const last = (output: string) => stripVTControlCharacters(output.split('\u001b[K').at(-1)!);

  it('is rewritten in place, within the width', async () => {
    const output = await shown({ columns: 40 }, (line) =>
      line.step!(step(0, { loss: 0.7, 'rewards/accuracies': 1 })),
    );
    expect(output).not.toContain('\n');
    expect(last(output)).toMatch(/^4\/5 DPO +1\/2 s/);
    expect(last(output)).toHaveLength(39);
  });

  it('keeps what became of the rows above itself', async () => {
    const started = { run: 'r', config: {}, steps: 2, testItems: 0, models: {}, artifacts: {}, from: {} };
    const output = await shown({ columns: 200 }, (line) =>
      line.started!(
        { ...started, data: { read: 9, used: 8, cut: 0, dropped: { 'empty text': 1 } } },
        Date.now(),
      ),
    );
    const [above, line] = stripVTControlCharacters(output).split('\n');
    expect(above).toMatch(/4\/5 DPO: 9 rows: 8 used, 1 dropped \(empty text\)$/);
    expect(line).toMatch(/^\r?4\/5 DPO +0\/2 steps/);
  });

  it('keeps above itself that it goes on under another build', async () => {
    const build = { version: '1.0.0', code: 'c0de', onnxruntime: '1.30.0', platform: 'linux-x64' };
    const to = { ...build, code: 'f00d' };
    const say = (line: ProgressLine) => line.buildChanged!({ run: 'r', step: 2, from: build, to });
    const said =
      '4/5 DPO: resumed at step 2 under another build (1.0.0+c0de, ONNX Runtime 1.30.0, linux-x64 → 1.0.0+f00d, ONNX Runtime 1.30.0, linux-x64): its bits may differ from an uninterrupted run';
    for (const terminal of [{ columns: 80 }, undefined])
      expect(stripVTControlCharacters(await shown(terminal, say))).toContain(`${said}\n`);
  });

  it('keeps above itself what a metric warns of', async () => {
    const say = (line: ProgressLine) =>
      line.warned!({
        run: 'r',
        step: 7,
        metric: 'objective/kl',
        direction: 'above',
        value: 31.25,
        threshold: 25,
        message: 'far from the reference',
      });
    for (const terminal of [{ columns: 80 }, undefined])
      expect(stripVTControlCharacters(await shown(terminal, say))).toContain(
        '4/5 DPO: step 7: objective/kl is 31.3, above 25: far from the reference\n',
      );
  });

  it('shows a wait until the next step', async () => {
    const wide = { columns: 200 };
    expect(last(await shown(wide, (line) => line.waiting!(waiting)))).toContain(
      'waiting 15 s for 3 rewards, 1 rollouts',
    );
    const moved = await shown(wide, (line) => {
      line.waiting!(waiting);
      line.step!(step(1, { loss: 0.5 }));
    });
    expect(last(moved)).not.toContain('waiting');
  });

  it('shows what it waits for until it is prepared, and what goes on beside it', async () => {
    const wide = { columns: 200 };
    const reward = { waitsFor: ['reward'], running: ['dpo 1/4', 'reward 2/2'] };
    expect(last(await shown(wide, (line) => line.beside(reward)))).toMatch(
      / {2}waits for reward {2}beside: dpo 1\/4, reward 2\/2$/,
    );
    const prepared = await shown(wide, (line) => {
      line.beside(reward);
      line.beside({ waitsFor: [], running: [] });
    });
    expect(last(prepared)).toMatch(/ {2}being prepared$/);
    const moved = await shown(wide, (line) => {
      line.beside(reward);
      line.started!(started, Date.now());
      line.waiting!(waiting);
      line.beside({ waitsFor: [], running: ['dpo 2/4'] });
    });
    expect(last(moved)).toMatch(/waiting 15 s for 3 rewards, 1 rollouts {2}beside: dpo 2\/4$/);
  });
});

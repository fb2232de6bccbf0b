/** What the page's own script does under a pointer, in a page that is no more than what it asks for. */
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';

const script = readFileSync(new URL('../../assets/report.js', import.meta.url), 'utf8');

/** Figures of one stage, 300 CSS pixels wide where the chart has 600. */
function stageOf(plots: readonly object[]) {
  const figures = plots.map((plot) => {
    const listeners = new Map<string, (event: object) => void>();
    const cursor: Record<string, unknown> = {};
    const lasts = [{ textContent: 'last' }];
    const number = { textContent: '' };
    const svg = {
      viewBox: { baseVal: { width: 600 } },
      getBoundingClientRect: () => ({ left: 1000, width: 300 }),
      addEventListener: (type: string, listener: (event: object) => void) => listeners.set(type, listener),
      append: (line: Record<string, unknown>) => Object.assign(cursor, line, { shown: true }),
    };
    return {
      dataset: { plot: JSON.stringify({ from: 100, to: 500, top: 26, bottom: 170, ...plot }) },
      querySelector: (what: string) => (what === '.chart svg' ? svg : number),
      querySelectorAll: () => lasts,
      at: (clientX: number) => listeners.get('pointermove')!({ clientX }),
      leave: () => listeners.get('pointerleave')!({}),
      shown: () => [number.textContent, lasts[0]!.textContent],
      cursor,
    };
  });
  const line = () => {
    const attributes: Record<string, unknown> = {};
    return {
      attributes,
      setAttribute: (name: string, value: unknown) => {
        attributes[name] = value;
      },
      remove() {},
    };
  };
  runInNewContext(script, {
    document: {
      querySelectorAll: () => [{ querySelectorAll: () => figures }],
      createElementNS: line,
    },
  });
  return figures;
}

test('every plot of a stage shows the values of the step nearest to the pointer, and the last ones without it', () => {
  const [loss, kl] = stageOf([
    { steps: [0, 1, 2, 3, 4], values: ['9 8 7 6 5'] },
    { steps: [0, 2, 4], values: ['.1 .2 .3'] },
  ]);
  // Step 2 lies in the middle of the chart; 20 CSS pixels are two fifths of a step.
  loss!.at(1150 + 20);
  expect([loss!.shown(), kl!.shown()]).toEqual([
    ['step 2', '7'],
    ['step 2', '.2'],
  ]);
  expect(loss!.cursor).toMatchObject({ shown: true, attributes: { x1: 300, x2: 300, y1: 26, y2: 170 } });
  loss!.at(1150 + 30);
  expect([loss!.shown(), kl!.shown()]).toEqual([
    ['step 3', '6'],
    ['step 3', '–'],
  ]);
  loss!.at(2000);
  expect(loss!.shown()).toEqual(['step 4', '5']);
  kl!.leave();
  expect([loss!.shown(), kl!.shown()]).toEqual([
    ['', 'last'],
    ['', 'last'],
  ]);
});

test('a plot of one step shows it, wherever the pointer is', () => {
  const [plot] = stageOf([{ steps: [7], values: ['5'], from: 100, to: 100 }]);
  plot!.at(1200);
  expect(plot!.shown()).toEqual(['step 7', '5']);
});

/** What the page's own script asks of uPlot, with a page and a uPlot that only take notes. */
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { plotsOf } from './plots.js';
import type { StageReport } from './report-data.js';

interface Options {
  readonly axes: readonly { label: string; incrs?: readonly number[]; values: Ticks }[];
  readonly scales: { x: { range: (plot: object, first: number, last: number) => [number, number] } };
}
type Ticks = (plot: object, ticks: readonly number[]) => string[];

const script = readFileSync(new URL('../../assets/report.js', import.meta.url), 'utf8');

/** The options and data of every plot of a stage. */
function drawn(stage: StageReport): { options: Options; data: (number | null)[][]; legend: string[] }[] {
  const plots = plotsOf([stage]);
  const made: ReturnType<typeof drawn> = [];
  const element = (texts: string[] = []): object => ({
    append: (text: string) => texts.push(text),
    appendChild: () => element(texts),
    prepend() {},
  });
  const figures = plots.map((_, id) => {
    const legend: string[] = [];
    return { legend, dataset: { plot: id }, querySelector: () => ({ ...element(legend), clientWidth: 300 }) };
  });
  class Plot {
    static join = (tables: number[][][]) => [tables[0]![0], ...tables.map(([, values]) => values)];
    cursor = {};
    data: (number | null)[][];
    constructor(options: Options, data: (number | null)[][]) {
      this.data = data;
      made.push({ options, data, legend: figures[made.length]!.legend });
    }
  }
  runInNewContext(script, {
    document: {
      getElementById: () => ({ textContent: JSON.stringify(plots) }),
      querySelectorAll: () => figures,
      createElement: () => element(),
    },
    matchMedia: () => ({ addEventListener() {} }),
    getComputedStyle: () => ({ getPropertyValue: () => '#000' }),
    ResizeObserver: class {
      observe() {}
    },
    uPlot: Plot,
  });
  return made;
}

const series = (name: string, steps: number[]) => ({ name, steps, values: steps.map(() => 0.5) });

test('axes have titles, and ticks stand at whole steps', () => {
  const [{ options }] = drawn({
    name: 'SFT',
    series: [{ ...series('loss', [0, 1]), unit: 'nats per token' }],
  }) as [ReturnType<typeof drawn>[0]];
  const [x, y] = options.axes;
  expect([x!.label, y!.label]).toEqual(['step', 'nats per token']);
  expect(x!.incrs!.every(Number.isInteger)).toBe(true);
  expect(x!.incrs).toEqual(x!.incrs!.toSorted((a, b) => a - b));
  expect([...x!.values({}, [0, 1, 200_000])]).toEqual(['0', '1', '200000']);
});

test('one step alone has an axis of steps, too', () => {
  const [{ options, data }] = drawn({ name: 'SFT', series: [series('loss', [7])] }) as [
    ReturnType<typeof drawn>[0],
  ];
  expect([...options.scales.x.range({ data }, 0, 100)]).toEqual([7, 8]);
  const [two] = drawn({ name: 'SFT', series: [series('loss', [7, 9])] });
  expect([...two!.options.scales.x.range(two!, 7, 9)]).toEqual([7, 9]);
});

test('a legend does not repeat what its names share', () => {
  const stage = (names: string[]) => ({
    name: 'DPO',
    series: names.map((name) => series(name, [0, 1])),
    groups: [{ title: 'all', series: names }],
  });
  expect(drawn(stage(['rewards/chosen', 'rewards/rejected']))[0]!.legend).toEqual(['chosen ', 'rejected ']);
  expect(drawn(stage(['objective/scores', 'scores/gold']))[0]!.legend).toEqual([
    'objective/scores ',
    'scores/gold ',
  ]);
});

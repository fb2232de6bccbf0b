/* Draws the plots of a report with uPlot: colours from the style sheet, one cursor for all plots of a stage. */
/* global uPlot */

const PLOT_HEIGHT = 180;
/** Steps between ticks: steps are whole. */
const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].flatMap((power) => [power, 2 * power, 5 * power]);
/** Up to so many values are marked each, so that they can be told from the lines between them. */
const MARKED = 30;
const plots = JSON.parse(document.getElementById('plots').textContent);
const drawn = [...document.querySelectorAll('[data-plot]')].map((figure) =>
  draw(figure, plots[figure.dataset.plot]),
);

// Canvases do not follow the style sheet by themselves.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const plot of drawn) plot.redraw();
});

function draw(figure, { stage, series, y }) {
  const canvas = figure.querySelector('.canvas');
  const readout = figure.querySelector('.readout');
  const colour = (name) => getComputedStyle(figure).getPropertyValue(name).trim();
  const lines = series.map((_, i) => ({
    stroke: () => colour(i % 2 === 0 ? '--accent' : '--dim'),
    dash: i < 2 ? [] : [5, 3],
  }));
  const axis = {
    stroke: () => colour('--dim'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: () => colour('--grid'), width: 1 },
    ticks: { show: false },
    gap: 4,
    labelFont: '11px system-ui, sans-serif',
    labelSize: 16,
    labelGap: 0,
  };
  const shared = sharedPrefix(series.map(({ name }) => name));
  const values = series.map((_, i) => {
    const item = readout.appendChild(document.createElement('span'));
    if (series.length > 1) {
      const swatch = item.appendChild(document.createElement('i'));
      swatch.className = `swatch swatch-${Math.min(i, 3) + 1}`;
      item.append(`${series[i].name.slice(shared)} `);
    }
    return item.appendChild(document.createElement('b'));
  });
  const step = document.createElement('span');
  step.className = 'step-number';
  readout.prepend(step);

  const plot = new uPlot(
    {
      width: Math.max(canvas.clientWidth, 120),
      height: PLOT_HEIGHT,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      scales: { x: { time: false, range: stepRange }, y: { range: valueRange } },
      cursor: { y: false, sync: { key: `stage ${stage}`, scales: ['x', null] }, points: { size: 6 } },
      axes: [
        {
          ...axis,
          label: 'step',
          size: 22,
          space: 50,
          incrs: WHOLE,
          values: (_, ticks) => ticks.map(String),
        },
        { ...axis, label: y, size: axisWidth, space: 28, values: (_, ticks) => ticks.map(compact) },
      ],
      series: [
        {},
        ...series.map((_, i) => ({
          ...lines[i],
          width: 1.5,
          spanGaps: true,
          points: { size: 4, show: marked },
        })),
      ],
      hooks: { setCursor: [show] },
    },
    uPlot.join(series.map(measured)),
    canvas,
  );
  new ResizeObserver(() => {
    if (canvas.clientWidth > 0) plot.setSize({ width: canvas.clientWidth, height: PLOT_HEIGHT });
  }).observe(canvas);
  show(plot);
  return plot;

  /** Writes the values under the cursor, or the last ones where there is no cursor. */
  function show(u) {
    const index = u.cursor.idx;
    const hovered = index !== null && index !== undefined && u.cursor.left >= 0;
    step.textContent = hovered ? `step ${u.data[0][index]}` : '';
    values.forEach((value, i) => {
      const column = u.data[i + 1];
      value.textContent = compact(hovered ? column[index] : column.findLast((entry) => entry != null));
    });
  }
}

/** Steps and values of a metric without the steps at which it was not measured. */
function measured({ steps, values }) {
  const at = steps.map((_, i) => i).filter((i) => values[i] !== null);
  return [at.map((i) => steps[i]), at.map((i) => values[i])];
}

/** Range of the x axis: the steps there are, and room for a next one if there is only one. */
function stepRange(plot, first, last) {
  const steps = plot.data[0];
  return steps.length === 1 ? [steps[0], steps[0] + 1] : [first, last];
}

/** Whether the values of a series are marked, each by a point. */
function marked(plot, index) {
  return plot.data[index].filter((value) => value != null).length <= MARKED;
}

/** Length of what all names begin with, up to a slash: what a legend need not repeat. */
function sharedPrefix([first, ...others]) {
  const length = first.lastIndexOf('/') + 1;
  return others.every((name) => name.startsWith(first.slice(0, length))) ? length : 0;
}

/** Range of the y axis: a little more than the values, and around them if they are all alike. */
function valueRange(_plot, low, high) {
  if (low === null) return [null, null];
  return low === high ? [low - 0.5, high + 0.5] : uPlot.rangeNum(low, high, 0.1, true);
}

/** Room for the widest label of the y axis. */
function axisWidth(_plot, labels) {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length));
  return Math.max(30, 10 + 6.5 * longest);
}

function compact(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6))
    return value.toExponential(1).replace('+', '').replaceAll('-', '−');
  return String(Number(value.toPrecision(size >= 1000 ? 6 : 3))).replace('-', '−');
}

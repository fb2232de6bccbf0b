/* Shows what was measured at the step under the pointer, in every plot of its stage. */
for (const stage of document.querySelectorAll('.stage')) {
  const plots = [...stage.querySelectorAll('[data-plot]')].map(plotIn);
  for (const { svg, stepAt } of plots) {
    svg.addEventListener('pointermove', ({ clientX }) => {
      const step = stepAt(clientX);
      for (const { show } of plots) show(step);
    });
    svg.addEventListener('pointerleave', () => {
      for (const { show } of plots) show(undefined);
    });
  }
}

function plotIn(figure) {
  const { steps, values, from, to, top, bottom } = JSON.parse(figure.dataset.plot);
  const columns = values.map((column) => column.split(' '));
  const svg = figure.querySelector('.chart svg');
  const [number, shown] = [figure.querySelector('.step-number'), [...figure.querySelectorAll('.readout b')]];
  const last = shown.map((element) => element.textContent);
  const [first, span] = [steps[0], steps.at(-1) - steps[0] || 1];
  const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  const { width } = svg.viewBox.baseVal;
  cursor.setAttribute('class', 'cursor');
  cursor.setAttribute('y1', top);
  cursor.setAttribute('y2', bottom);

  return { svg, stepAt, show };

  /** The step nearest to a place on the page. */
  function stepAt(clientX) {
    const { left, width: drawn } = svg.getBoundingClientRect();
    const at = ((clientX - left) / drawn) * width;
    const wanted = first + ((at - from) / (to - from || 1)) * span;
    return steps.reduce(
      (best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best),
      first,
    );
  }

  /** The values of a step, or the last ones where there is none. */
  function show(step) {
    const index = steps.indexOf(step);
    number.textContent = step === undefined ? '' : `step ${step}`;
    shown.forEach((element, i) => {
      element.textContent = step === undefined ? last[i] : (columns[i][index] ?? '–');
    });
    if (index < 0) return cursor.remove();
    const x = from + ((step - first) / span) * (to - from);
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    svg.append(cursor);
  }
}

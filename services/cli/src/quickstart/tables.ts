/** The closing output of a run for terminals: plain text, no colours. */
import { type PolicySummary, policyColumns } from './policies.js';
import type { SampleGroup } from './report/report-data.js';
import { UNSHOWABLE } from './unshowable.js';

const MAX_WIDTH = 110;

/**
 * Aligned summary table, a row for each policy: gold reward, reward score, KL to the reference, win rate and length,
 * with their 95 % intervals. At most 110 columns wide (long names are cut); ends without a newline.
 */
export function formatTable(policies: readonly PolicySummary[]): string {
  const columns = policyColumns(policies).map(({ title, cells }) => {
    const values = cells.map((cell) => cell?.value ?? '-');
    const width = Math.max(...values.map(({ length }) => length), 0);
    return [
      title,
      ...values.map((value, i) => `${value.padStart(width)} ${cells[i]?.interval ?? ''}`.trimEnd()),
    ];
  });
  const widths = columns.map((column) => Math.max(...column.map(({ length }) => length)));
  const taken = widths.reduce((sum, width) => sum + 2 + width, 0);
  const nameWidth = Math.max(8, MAX_WIDTH - taken);
  const names = ['policy', ...policies.map(({ name }) => cut(printable(name), nameWidth))];
  const namePad = Math.max(...names.map(({ length }) => length));
  const lines = names.map((name, row) =>
    [name.padEnd(namePad), ...columns.map((column, i) => column[row]!.padEnd(widths[i]!))]
      .join('  ')
      .trimEnd(),
  );
  const [head, ...body] = lines;
  return [head, '-'.repeat(Math.max(...lines.map(({ length }) => length))), ...body].join('\n');
}

/**
 * Samples for terminals: each prompt, and under it every policy's completions with their gold reward. Control
 * characters of the texts are left out, so that a completion cannot steer the terminal; what has no glyph is a `?`.
 */
export function formatSamples(samples: readonly SampleGroup[]): string {
  const nameOf = (policy: string) => cut(printable(policy), 24);
  const policies = new Set(samples.flatMap(({ completions }) => completions.map(({ policy }) => policy)));
  const nameWidth = Math.max(...Array.from(policies, (policy) => nameOf(policy).length), 0);
  return samples
    .map((sample) => {
      const lines = sample.completions.map(({ policy, text, gold }) => {
        const score = gold === undefined ? '' : `${gold > 0 ? '+' : ''}${gold.toFixed(2)}`;
        const lead = `  ${nameOf(policy).padEnd(nameWidth)}  ${score.padStart(6)}  `;
        const room = Math.max(20, MAX_WIDTH - lead.length);
        return wrap(printable(text) || '(empty)', room)
          .map((line, i) => (i === 0 ? lead : ' '.repeat(lead.length)) + line)
          .join('\n');
      });
      return [...wrap(printable(sample.prompt) || '(empty prompt)', MAX_WIDTH), ...lines].join('\n');
    })
    .join('\n\n');
}

function printable(text: string): string {
  return text
    .replace(/\p{Cf}/gu, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(new RegExp(UNSHOWABLE, 'gu'), '?')
    .trim();
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 3)}...`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((word) => word.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [])) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line ? `${line} ${word}` : word;
    }
  }
  return [...lines, line];
}

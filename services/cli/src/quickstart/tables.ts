/** The closing output of the quickstart: plain text of at most 110 columns. */
import { type PolicySummary, policyColumns, type SampleGroup, UNSHOWABLE } from '@rlhf-streams/evaluation';
import { table } from '../table.js';

const MOST_COLUMNS = 110;
const MOST_OF_A_NAME = 24;

/**
 * A row for each policy: gold reward, reward score, KL to the reference (nats per sequence), win rate and length
 * (tokens), with their 95 % intervals.
 */
export function policyTable(policies: readonly PolicySummary[]): string {
  const columns = policyColumns(policies);
  const rows = policies.map(({ name }, row) => [
    nameOf(name),
    ...columns.map(({ cells }) => {
      const cell = cells[row];
      return cell ? `${cell.value} ${cell.interval}`.trimEnd() : '-';
    }),
  ]);
  return table(rows, {
    head: ['policy', ...columns.map(({ title }) => title)],
    right: columns.map((_, column) => column + 1),
  });
}

/**
 * Each prompt, and under it every policy's completions with their gold reward. Control characters of the texts are left
 * out, so that a completion cannot steer the terminal; a character without a glyph is a `?`.
 */
export function samplesInWords(samples: readonly SampleGroup[]): string {
  const names = samples.flatMap(({ completions }) => completions.map(({ policy }) => nameOf(policy)));
  const width = Math.max(...names.map(({ length }) => length), 0);
  const widths = [width + 2, 6, MOST_COLUMNS - width - 2 - 6 - 4];
  return samples
    .map(({ prompt, completions }) => {
      const rows = completions.map(({ policy, text, gold }) => [
        `  ${nameOf(policy)}`,
        gold === undefined ? '' : `${gold > 0 ? '+' : ''}${gold.toFixed(2)}`,
        printable(text) || '(empty)',
      ]);
      const said = table([[printable(prompt) || '(empty prompt)']], { widths: [MOST_COLUMNS] });
      return `${said}\n${table(rows, { right: [1], widths })}`;
    })
    .join('\n\n');
}

function nameOf(policy: string): string {
  const name = printable(policy);
  return name.length <= MOST_OF_A_NAME ? name : `${name.slice(0, MOST_OF_A_NAME - 1)}…`;
}

function printable(text: string): string {
  return text
    .replace(/\p{Cf}/gu, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(new RegExp(UNSHOWABLE, 'gu'), '?')
    .trim();
}

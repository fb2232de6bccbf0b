/** `npm run bench -- --only device` for a machine that has no more of the project than this takes: see README.md. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../table.js';
import { measureDevice } from './device.js';

const { values } = parseArgs({
  options: {
    filter: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '3600' },
    tiny: { type: 'boolean', default: false },
    out: { type: 'string', default: 'out' },
  },
});
const { filter: filters, tiny, out } = values;
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`expected --seconds to be positive, got ${values.seconds}`);
mkdirSync(out, { recursive: true });
const lines = join(out, 'results.jsonl');
writeFileSync(lines, '');
const { rows, notes } = await measureDevice({ filters, seconds, tiny }, (result) =>
  appendFileSync(lines, `${JSON.stringify(result)}\n`),
);
const table = `${formatTable(rows)}\n\n${notes.join('\n')}\n`;
writeFileSync(join(out, 'table.txt'), table);
console.log(table);

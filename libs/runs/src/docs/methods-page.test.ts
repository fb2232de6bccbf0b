import { access, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { methodDescriptions } from '../index.js';
import { METHODS_PAGE, methodsPage } from './methods-page.js';

it('METHODS.md says what the schemas say: `npm run docs` writes it anew', async () => {
  expect(await readFile(METHODS_PAGE, 'utf8')).toBe(methodsPage(methodDescriptions()));
});

it.each(methodDescriptions())('$name is linked to its spec, its mathematics and its step', async (method) => {
  const page = methodsPage([method]);
  const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path!);
  const readLinked = (path: string) => readFile(new URL(path, METHODS_PAGE), 'utf8');
  const [spec, ...mathematics] = links.slice(0, -1);
  expect(await readLinked(spec!)).toContain(`z.literal('${method.name}')`);
  for (const path of mathematics) await access(new URL(path, METHODS_PAGE));
  expect(mathematics.length > 0).toBe(method.name !== 'sample');
  expect(await readLinked(links.at(-1)!)).toMatch(new RegExp(`export const ${method.name}\\b`));
});

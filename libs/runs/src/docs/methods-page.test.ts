import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { methodDescriptions } from '../index.js';
import { METHODS_PAGE, methodsPage } from './methods-page.js';

it('METHODS.md says what the schemas say: `npm run docs` writes it anew', async () => {
  expect(await readFile(METHODS_PAGE, 'utf8')).toBe(methodsPage(methodDescriptions()));
});

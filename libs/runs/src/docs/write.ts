/** `npm run docs`: writes the pages that are made from code. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { methodDescriptions } from '../index.js';
import { METHODS_PAGE, methodsPage } from './methods-page.js';

await writeFile(METHODS_PAGE, methodsPage(methodDescriptions()));
process.stdout.write(`${fileURLToPath(METHODS_PAGE)}\n`);

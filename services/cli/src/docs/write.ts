/** Part of `npm run docs`: writes the page that is made from the services' settings. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { SETTINGS_PAGE, settingsPage } from './settings-page.js';

await writeFile(SETTINGS_PAGE, settingsPage());
process.stdout.write(`${fileURLToPath(SETTINGS_PAGE)}\n`);

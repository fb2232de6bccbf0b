import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { SETTINGS_PAGE, settingsPage } from './settings-page.js';

it('SETTINGS.md says what the schemas say: `npm run docs` writes it anew', async () => {
  expect(await readFile(SETTINGS_PAGE, 'utf8')).toBe(settingsPage());
});

it('is the same on a machine with other cores and other memory', () => {
  const program = `
    import os from 'node:os';
    import { syncBuiltinESMExports } from 'node:module';
    os.availableParallelism = () => 61;
    os.totalmem = () => 61e9;
    syncBuiltinESMExports();
    const { settingsPage } = await import(${JSON.stringify(new URL('./settings-page.js', import.meta.url).href)});
    process.stdout.write(settingsPage());
  `;
  const elsewhere = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  expect(elsewhere).toBe(settingsPage());
});

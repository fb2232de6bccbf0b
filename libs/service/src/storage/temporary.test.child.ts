/** Run as a process by a test that kills it: uses a temporary folder in the one it is given, and says so. */
import { temporaryFolders } from './temporary.js';

const [directory] = process.argv.slice(2) as [string];
await temporaryFolders(directory).use(async (folder) => {
  process.stdout.write(`${folder}\n`);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});

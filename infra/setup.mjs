/** Makes a checkout ready to run: installs what is missing, builds what is older than its source. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forgetDeletedSources } from './forget-deleted-sources.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.installed');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`rlhf-streams needs Node 20.19 or newer, this is ${process.version}\n`);
  process.exit(1);
}
install();
build();

/** `npm ci`, when the lock file is not the one installed last. */
function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write('Installing dependencies (about 800 MB on disk) …\n');
  const hadTensorflow = existsSync(join(root, 'node_modules', '.tensorflow'));
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (hadTensorflow)
    process.stderr.write(
      'TensorFlow is gone with the old dependencies: npm run install:tensorflow brings it back.\n',
    );
  writeFileSync(stamp, wanted);
}

/** Incremental; a second without changes. */
function build() {
  forgetDeletedSources(root);
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', root]);
}

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    process.stderr.write(`${command} ${args[0]} failed\n`);
    process.exit(error.status ?? 1);
  }
}

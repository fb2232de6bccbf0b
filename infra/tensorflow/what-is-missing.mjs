import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from './run.mjs';

const TOOLS = [
  {
    command: ['python3', '-m', 'pip', '--version'],
    what: 'Python 3 with pip, which downloads',
    debian: 'python3-pip',
  },
  { command: ['unzip', '-v'], what: 'unzip', debian: 'unzip' },
  { command: ['g++', '--version'], what: 'a C++ compiler', debian: 'g++' },
];

/** While it is installed, in GB. */
const DISK = { cpu: 2, cuda: 10 };

/** What stands in the way of an installation into `modules`, and what to do about it: a line each. */
export async function whatIsMissing(modules, device) {
  const { platform, arch } = process;
  const wheels = device === 'cuda' ? ['x64'] : ['x64', 'arm64'];
  if (platform !== 'linux' || !wheels.includes(arch)) {
    const where = device === 'cuda' ? 'Linux on x86-64' : 'Linux on x86-64 or ARM64';
    return [
      `expected ${where}, where its libraries run, got ${platform} on ${arch}; Docker images have them too`,
    ];
  }
  const lines = [];
  const { glibcVersionRuntime: glibc = 'another C library' } = process.report.getReport().header;
  if (!(Number(glibc.split('.')[1]) >= 27))
    lines.push(`expected glibc 2.27 or newer, got ${glibc}: take another distribution, such as Debian 12`);
  const packages = [];
  for (const { command, what, debian } of TOOLS) {
    if (await runs(command)) continue;
    lines.push(`expected ${what} (\`${command.join(' ')}\` fails)`);
    packages.push(debian);
  }
  if (packages.length > 0) lines.push(`on Debian and Ubuntu: apt-get install ${packages.join(' ')}`);
  const { bavail, bsize } = await statfs(existsSync(modules) ? modules : dirname(modules));
  const free = (bavail * bsize) / 1e9;
  if (free < DISK[device])
    lines.push(`expected ${DISK[device]} GB of free disk, got ${free.toFixed(1)} GB at ${join(modules)}`);
  return lines;
}

async function runs([command, ...args]) {
  try {
    await run(command, args);
    return true;
  } catch {
    return false;
  }
}

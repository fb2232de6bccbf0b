import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import color from 'picocolors';
import { failureOf } from './failure.js';
import { interrupted } from './interruption.js';
import {
  byteCount,
  duration,
  file,
  folder,
  GATEWAY_PORT,
  gatewayPort,
  limits,
  names,
  positiveNumber,
  replicaCounts,
  wholeNumber,
} from './options.js';

/** Options of commands that need services. */
const services = (command: Command): Command =>
  command
    .option(
      '--brokers <list>',
      'a Kafka log, as host:port,host:port: every service becomes a process of its own',
    )
    .option('--replicas <counts>', 'of services, as policy=2,reward=2; one where not named', replicaCounts);
const attachable = (command: Command): Command =>
  services(command).option('--attach', 'start no services: use those that run on the log already', false);

/** Members of a sweep that are trained at a time: memory bounds them on a large machine. */
const defaultParallel = (): number => Math.min(4, availableParallelism());

/**
 * Exit codes: 0 done; 1 failed; 2 asked for what cannot be; 3 done, but alignment did not work or topics still differ;
 * 130 interrupted.
 */
const program = new Command('rlhf-streams')
  .description('Align language models from preferences, as a stream of events')
  .version((createRequire(import.meta.url)('../package.json') as { version: string }).version)
  .exitOverride()
  .showHelpAfterError();

attachable(program.command('quickstart'))
  .description('SFT, reward model, PPO and DPO on review sentences, in a few minutes on two cores')
  .option(
    '--data <file>',
    'labelled text ({text, label} as .jsonl, .json, .csv, .tsv, .parquet or a folder of save_to_disk)',
    'bundled',
  )
  .option('--seed <number>', 'the same seed gives the same weights', wholeNumber, 0)
  .option(
    '--lora',
    'reward model, PPO and DPO learn low-rank adapters on the SFT model, not all weights',
    false,
  )
  .addOption(new Option('--architecture <name>', 'of the models').choices(['gpt2', 'llama']).default('gpt2'))
  .option(
    '--directory <folder>',
    'where everything is written (default: runs/quickstart, and for other options a folder of their own beside it)',
    folder,
  )
  .option('--resume', 'go on with what an interruption left', false)
  .addOption(
    new Option('--force', 'start over an experiment that is in the folder, and lose what it did')
      .default(false)
      .conflicts('resume'),
  )
  .option('--allow <limits>', 'shares of the data that every run may lose, as cut=1,dropped=.5', limits)
  .option('--short', 'a twentieth of the steps: shows that everything runs, learns little', false)
  .action(async (options) => {
    const { quickstart } = await import('./quickstart/quickstart.js');
    const verdict = await quickstart({ ...options, signal: interrupted() });
    if (!verdict.ok && !options.short) process.exitCode = 3;
  });

attachable(program.command('run'))
  .description('start the runs of a YAML file and follow them to their end')
  .argument('<file>', 'one document a run, or an experiment of several')
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .action(async (file, options) => {
    const { run } = await import('./commands/run.js');
    await run(file, { ...options, signal: interrupted() });
  });

attachable(program.command('evaluate'))
  .description(
    'measure policies by the suites of a YAML file: win rates, scores, multiple choice, paired sentences',
  )
  .argument('<file>', 'policies and suites')
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .option(
    '--out <folder>',
    'for evaluation.json, .csv and .html (default: evaluations/NAME in the directory)',
    folder,
  )
  .action(async (file, options) => {
    const { evaluate } = await import('./commands/evaluate.js');
    await evaluate(file, { ...options, signal: interrupted() });
  });

program
  .command('labels')
  .description('what labelers said of completions: quality, flags, how far they agree, and held-out labelers')
  .argument(
    '<file>',
    'a row a labeler and completion (.jsonl, .csv and other data files), or feedback:COLLECTION, what was published on the log',
  )
  .option(
    '--slices <columns>',
    'tell every number for each value of these too, as language,use_case',
    names,
    [],
  )
  .option(
    '--held-out <labelers>',
    'ids, or groups as group=NAME: tell how far others agree with them',
    names,
    [],
  )
  .option('--scores <columns>', 'with numbers of scorers, to be compared with held-out labelers', names, [])
  .option('--json <file>', 'for the numbers', file)
  .option('--csv <file>', 'for the numbers, a line each', file)
  .option('--html <file>', 'for a page', file)
  .option('--labels <file.jsonl>', 'for all labels, a row each, which is read again as the same', file)
  .option(
    '--comparisons <file.jsonl>',
    'for the rankings of labelers who are not held out, to train on or to publish as feedback',
    file,
  )
  .option('--brokers <list>', 'a Kafka log, as host:port,host:port')
  .option('--directory <folder>', 'where the log of the feedback is', folder, 'runs/default')
  .action(async (path, options, command: Command) => {
    if (options.scores.length > 0 && options.heldOut.length === 0)
      command.error('error: expected --held-out beside --scores: whom scorers are compared with');
    const { labels } = await import('./commands/labels.js');
    await labels(path, options);
  });

attachable(program.command('frontier'))
  .description('sweep over methods and their settings, and plot the reward of each against its KL')
  .argument('<file>', 'a YAML file: members, what is swept, how policies are judged')
  .option(
    '--parallel <number>',
    'members that are trained at a time (default: one a core, at most 4)',
    wholeNumber,
  )
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .action(async (file, { parallel, ...options }) => {
    const { frontier } = await import('./frontier/frontier.js');
    await frontier(file, { ...options, signal: interrupted(), parallel: parallel || defaultParallel() });
  });

attachable(program.command('replay'))
  .description(
    'train again on what a run logged: every policy version comes out the same, or the first that does not is named',
  )
  .argument('<run>', 'a run that has ended')
  .option('--as <name>', 'name of the replay, a run of its own (default: RUN-replay-1, the next is -2)')
  .option(
    '--set <path=value>',
    'with another hyperparameter, as ppo.klCoef=.1; may be repeated',
    (change: string, before: string[]) => [...before, change],
    [],
  )
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .action(async (run, options) => {
    const { replay } = await import('./commands/replay.js');
    await replay(run, { ...options, signal: interrupted() });
  });

program
  .command('cancel')
  .description('end a run that has not ended, for good')
  .argument('<run>', 'a run, one too that nobody works for now')
  .option('--reason <text>', 'shown as the cause of its end')
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .option('--brokers <list>', 'a Kafka log, as host:port,host:port')
  .action(async (run, options) => {
    const { cancel } = await import('./commands/cancel.js');
    await cancel(run, options);
  });

attachable(program.command('extend'))
  .description('let a completed run go on from its last checkpoint, to more steps')
  .argument('<run>', 'a run that has completed')
  .option('--steps <number>', 'training steps that it is to have in all', wholeNumber)
  .addOption(
    new Option('--epochs <number>', 'instead of --steps: passes over its data, in all')
      .argParser(positiveNumber)
      .conflicts('steps'),
  )
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .action(async (run, options, command: Command) => {
    if (options.steps === undefined && options.epochs === undefined)
      command.error('error: expected --steps or --epochs, got neither');
    const { extend } = await import('./commands/extend.js');
    await extend(run, { ...options, signal: interrupted() });
  });

program
  .command('methods')
  .description('the methods a run may be of; with a name, every setting of one and an example')
  .argument('[name]', 'a method')
  .option('--json', 'the same as JSON, for programs')
  .action(async (name, { json }) => {
    const { describeMethods, methodsAsJson } = await import('./commands/methods.js');
    console.log(json ? methodsAsJson(name) : describeMethods(name, process.stdout.columns));
  });

program
  .command('export')
  .description('write the model of a run as a Hugging Face folder, for Python or to serve elsewhere')
  .argument(
    '<run[@version]>',
    'a run that trains; where no version is named its best, if its keepBest says which that is, or else its newest',
  )
  .argument('<dir>', 'a folder to be made')
  .addOption(
    new Option(
      '--dtype <dtype>',
      'precision of the weights; default: that of the model which training began with',
    ).choices(['float32', 'float16', 'bfloat16']),
  )
  .option(
    '--max-shard-size <size>',
    'largest file of weights, as 5GB; default: that of the model which training began with',
    byteCount,
  )
  .option(
    '--merge',
    'add an adapter to its base; without it, the adapter alone is written, in the format of PEFT',
    false,
  )
  .option('--force', 'replace a folder that holds a model', false)
  .option('--brokers <list>', 'a Kafka log, as host:port,host:port')
  .option('--directory <folder>', 'where the run was done', folder, 'runs/default')
  .action(async (source, folder, options) => {
    const { exportModel } = await import('./commands/export.js');
    console.log(await exportModel(source, folder, options));
  });

program
  .command('artifacts')
  .description('models and checkpoints of the runs')
  .command('gc')
  .description(
    'remove what no run needs any more; newest versions, their checkpoints and what runs started from stay',
  )
  .option('--dry-run', 'only tell what would go', false)
  .option(
    '--grace <time>',
    'what was written within this time stays; longer than any run takes to publish what it wrote',
    duration,
    3_600_000,
  )
  .option('--brokers <list>', 'a Kafka log, as host:port,host:port')
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .action(async ({ grace, ...options }) => {
    const { collectArtifacts } = await import('./commands/artifacts.js');
    await collectArtifacts({ ...options, graceMs: grace });
  });

const topicsCommand = program
  .command('topics')
  .description('how the topics of a log are kept: partitions, copies, retention, settings');
for (const [name, description] of [
  ['plan', 'tell how they differ from what is wanted'],
  ['apply', 'make them so: nothing is ever removed, and what a log cannot change is named'],
] as const) {
  topicsCommand
    .command(name)
    .description(description)
    .option('--file <file>', 'what is wanted, as YAML (default: RLHF_TOPICS_FILE)')
    .option('--brokers <list>', 'a Kafka log, as host:port,host:port')
    .option('--directory <folder>', 'folder of an embedded log', folder, 'runs/default')
    .addHelpText(
      'after',
      '\nExit codes: 0 they are as wanted; 2 the wanted cannot be; 3 they still differ.\n',
    )
    .action(async (options) => {
      const { topics } = await import('./commands/topics.js');
      if (!(await topics({ ...options, apply: name === 'apply' }))) process.exitCode = 3;
    });
}

services(program.command('serve'))
  .description('start all services and wait')
  .addOption(
    new Option('--port <number>', 'of the gateway; the other services take the next five; 0 for free ones')
      .argParser(gatewayPort)
      .env('PORT')
      .default(GATEWAY_PORT),
  )
  .addOption(new Option('--host <address>', 'to listen at (default: 127.0.0.1)').env('HOST'))
  .option('--directory <folder>', 'where everything is written', folder, 'runs/default')
  .action(async (options) => {
    const { serve } = await import('./commands/serve.js');
    await serve({ ...options, signal: interrupted() });
  });

/** Does what a command line asks for, and sets the exit code of the process. */
export async function main(words: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said what is wrong, or shown the help or the version it was asked for.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    const { text, exitCode } = failureOf(error);
    process.stderr.write(exitCode === 130 ? `${text}\n` : `${color.red('error')} ${text}\n`);
    process.exitCode = exitCode;
  }
}

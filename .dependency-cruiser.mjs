/** Which package may know which, also by type imports; and what only one folder may name. */

const FLOOR = ['random', 'threads', 'waiting', 'files'];
const LIBS = {
  random: [],
  waiting: [],
  files: [],
  threads: ['waiting'],
  // The mathematics knows no transport, and no model.
  alignment: [],
  // Events and their log know no tensors.
  events: [],
  artifacts: FLOOR,
  log: FLOOR,
  kafka: [...FLOOR, 'log'],
  bus: [...FLOOR, 'events', 'log'],
  // The protocol of a run is zod and events alone, so that gateway and coordinator read it without tensors.
  runs: ['events'],
  archive: ['artifacts', 'events', 'log', 'bus', 'runs'],
  // Whoever scores completions without a model of ours, or judges pairs of them.
  scorers: [...FLOOR, 'events', 'runs'],
  service: [...FLOOR, 'artifacts', 'events', 'log', 'kafka', 'bus'],
  data: FLOOR,
  evaluation: FLOOR,
  sentiment: [...FLOOR, 'data', 'evaluation', 'runs'],
  // Capture and engines know no model.
  tensor: FLOOR,
  model: [...FLOOR, 'tensor', 'alignment'],
  training: [...FLOOR, 'tensor', 'alignment', 'model', 'events', 'runs', 'data', 'evaluation'],
  serving: [...FLOOR, 'tensor', 'model', 'artifacts', 'events', 'log', 'bus', 'runs', 'service'],
};
const TRANSPORT = ['events', 'runs', 'artifacts', 'archive', 'log', 'bus', 'service'];
const SERVICES = {
  gateway: [...FLOOR, ...TRANSPORT],
  coordinator: [...FLOOR, ...TRANSPORT, 'scorers', 'data', 'evaluation', 'sentiment', 'model', 'serving'],
  policy: [...FLOOR, ...TRANSPORT, 'serving', 'model', 'tensor'],
  reward: [...FLOOR, ...TRANSPORT, 'scorers', 'serving', 'model', 'tensor', 'sentiment', 'evaluation'],
  reference: [...FLOOR, ...TRANSPORT, 'serving', 'model', 'tensor'],
  optimizer: [...FLOOR, ...TRANSPORT, 'training', 'model', 'tensor', 'serving'],
};

/** Tests of a package may use more than the package itself: a broker, a tiny model, another package's conformance suite. */
const TESTS = '[.]test[.]';

const anyOf = (names) => names.join('|') || 'none';

const arrows = (folder, packages) =>
  Object.entries(packages).map(([name, may]) => ({
    name: `${folder}/${name}`,
    comment: `${folder}/${name} may know ${may.join(', ') || 'no other package'}`,
    severity: 'error',
    from: { path: `^${folder}/${name}/src/`, pathNot: TESTS },
    to: { path: `^(libs|services|test|infra)/`, pathNot: `^(${folder}/${name}/|libs/(${anyOf(may)})/)` },
  }));

export default {
  forbidden: [
    { name: 'no circles', severity: 'error', from: {}, to: { circular: true } },
    ...arrows('libs', LIBS),
    ...arrows('services', SERVICES),
    {
      name: 'a new package has its rule',
      comment: 'name it, and what it may know, in .dependency-cruiser.mjs',
      severity: 'error',
      from: {
        path: '^(libs|services)/[^/]+/src/',
        pathNot: `^(libs/(${anyOf(Object.keys(LIBS))})|services/(cli|${anyOf(Object.keys(SERVICES))}))/`,
      },
      to: {},
    },
    {
      name: 'packages meet at their public names',
      comment: "import '@rlhf-streams/NAME', not another package's files by their path",
      severity: 'error',
      from: { path: '^((?:libs|services)/[^/]+|test/broker|test)/src/' },
      to: { path: '^((?:libs|services)/[^/]+|test/broker)/src/', pathNot: '^$1/' },
    },
    {
      name: 'kafkajs has one door',
      comment: 'libs/kafka/src/wire alone names kafkajs; tests may, as a foreign client',
      severity: 'error',
      from: { path: '^(libs|services)/', pathNot: `^libs/kafka/src/wire/|${TESTS}` },
      to: { path: 'node_modules/kafkajs/' },
    },
    {
      name: 'product without tests',
      comment: 'what ships imports no test, and nothing that only tests have',
      severity: 'error',
      from: { path: '^(libs|services)/[^/]+/src/', pathNot: TESTS },
      to: { path: TESTS },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', 'dist/'] },
    includeOnly: { path: ['^(libs|services|test)/', 'node_modules/'] },
    tsPreCompilationDeps: true,
    parser: 'swc',
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};

/** The sentences of the bundled corpus: templates of short film reviews, each for a given sentiment. */
import type { SeededRandom } from '@rlhf-streams/data';
import * as lexicon from './lexicon.js';
import { FILM, TOPICS, type Topic } from './topics.js';

export type Sentiment = 'good' | 'bad';

interface Subject {
  topic: Topic;
  text: string;
  plural: boolean;
}

type Template = (draw: Draw, sentiment: Sentiment) => string;
type Draw = ReturnType<typeof createDraw>;

const LEAST_WORDS = 6;
const MOST_WORDS = 24;
const LASTING = TOPICS.filter(({ lasting }) => lasting);

/** One English sentence of 6 to 24 words whose overall sentiment is `sentiment`; it begins with three neutral words. */
export function reviewSentence(random: SeededRandom, sentiment: Sentiment): string {
  const draw = createDraw(random);
  for (;;) {
    const text = finish(draw.one(WEIGHTED)(draw, sentiment));
    const words = text.split(' ').length;
    if (words >= LEAST_WORDS && words <= MOST_WORDS) return text;
  }
}

const aspect: Template = (draw, sentiment) => {
  const subject = draw.subject(draw.one(TOPICS));
  const tail = subject.topic.lasting && draw.chance(0.35) ? ` ${draw.one(lexicon.TAILS)}` : '';
  if (draw.chance(0.5)) return `${longer(draw, subject)} ${verdict(draw, subject, sentiment)}`;
  return `${longer(draw, subject)} ${subject.plural ? 'are' : 'is'} ${intensified(draw, subject.topic, sentiment)}${tail}`;
};

const opened: Template = (draw, sentiment) => {
  const topic = draw.chance(0.35) ? FILM : draw.one(TOPICS);
  const openers = topic.lasting ? [...lexicon.OPENERS, ...lexicon.LASTING_OPENERS] : lexicon.OPENERS;
  return `${draw.one(openers)} ${clause(draw, draw.subject(topic), sentiment)}`;
};

const agreeing: Template = (draw, sentiment) => {
  const [first, second] = draw.two(TOPICS);
  const subject = draw.subject(first);
  const also = clause(draw, draw.subject(second), sentiment);
  return `${subject.text} ${copula(draw, subject, sentiment)}, and ${also}`;
};

const because: Template = (draw, sentiment) => {
  const film = draw.subject(FILM);
  const reason = clause(draw, draw.subject(draw.one(TOPICS)), sentiment);
  return `${film.text} ${copula(draw, film, sentiment)}, ${draw.one(['mainly', 'above all', 'not least'])} because ${reason}`;
};

const but: Template = (draw, sentiment) => {
  const subject = draw.subject(draw.one(TOPICS));
  return `${subject.text} ${copula(draw, subject, opposite(sentiment))}, ${draw.one(['but', 'but', 'yet'])} ${weighty(draw, sentiment)}`;
};

const although: Template = (draw, sentiment) => {
  const subject = draw.subject(draw.one(TOPICS));
  const conceded = `${subject.text} ${copula(draw, subject, opposite(sentiment))}`;
  return `${draw.one(['although', 'even though', 'while'])} ${conceded}, ${weighty(draw, sentiment)}`;
};

const halves: Template = (draw, sentiment) => {
  const [earlier, later] = draw.one(lexicon.HALVES);
  const [before, after] = [opposite(sentiment), sentiment];
  const turn = draw.chance(0.5)
    ? `${later} is ${intensified(draw, FILM, after)}`
    : `${later} is ${draw.one(FILM[after].adjectives)} enough to ${after === 'good' ? 'make up for it' : 'undo all of that'}`;
  return `${earlier} of ${draw.one(['this story', 'the story', 'this tale'])} is ${intensified(draw, FILM, before)}, but ${turn}`.replace(
    'the rest of the film of',
    'the rest of',
  );
};

const watched: Template = (draw, sentiment) => {
  const title = draw.chance(0.4)
    ? draw.one(lexicon.TITLES)
    : draw.one(['this film', 'this movie', `this ${draw.genre()}`]);
  const occasion = draw.one(lexicon.OCCASIONS);
  const seen = draw.one(['watched', 'saw']);
  const companion = draw.one(lexicon.COMPANIONS);
  const alone = `I ${seen} ${title} ${occasion}, and I ${agree(draw.one(lexicon.REACTIONS[sentiment]), false)}`;
  const together = `we ${agree(draw.one(lexicon.REACTIONS[sentiment]), true)}`;
  return draw.one([
    alone,
    `I ${seen} ${title} with ${companion} ${occasion}, and ${together}`,
    `${companion} and I ${seen} ${title} ${occasion}, and ${together}`,
  ]);
};

const remembered: Template = (draw, sentiment) => {
  const subject = draw.subject(draw.one(TOPICS));
  const was = subject.plural ? 'were' : 'was';
  return `when I ${draw.one(['watched', 'saw'])} ${draw.one(lexicon.TITLES)} ${draw.one(lexicon.OCCASIONS)}, I thought ${subject.text} ${was} ${intensified(draw, subject.topic, sentiment)}`;
};

const compared: Template = (draw, sentiment) => {
  const [earlier, later] = draw.one(lexicon.ADAPTATIONS);
  return `compared with ${earlier}, ${later} is ${draw.one(lexicon.COMPARATIVES[sentiment])}`;
};

const degree: Template = (draw, sentiment) => {
  const degree = sentiment === 'good' ? 'more' : 'less';
  return `this is a ${degree} ${draw.one(FILM.good.adjectives)} ${draw.genre()} than ${draw.one(['most', 'the last one', 'many others', 'the one we saw in spring'])}`;
};

const performer: Template = (draw, sentiment) => {
  const { name, possessive } = draw.person();
  const part = `${name} plays a ${draw.one(lexicon.ROLES)} who ${draw.one(lexicon.FATES)}`;
  const topic = TOPICS.find(({ singular }) => singular.includes('the lead performance'))!;
  const subject = { topic, text: `${possessive} performance`, plural: false };
  return `${part}, and ${clause(draw, draw.chance(0.6) ? subject : draw.subject(FILM), sentiment)}`;
};

const director: Template = (draw, sentiment) =>
  `director ${draw.person().name} takes a story about a ${draw.one(lexicon.ROLES)} and turns it into ${draw.one(lexicon.THINGS[sentiment])}`;

const about: Template = (draw, sentiment) => {
  const plot = `a ${draw.one(lexicon.ROLES)} who ${draw.one(lexicon.FATES)}`;
  return `this is a ${draw.genre()} about ${plot}, and ${clause(draw, draw.subject(draw.one(TOPICS)), sentiment)}`;
};

const advice: Template = (draw, sentiment) => {
  const genre = draw.one(lexicon.GENRES)[1];
  const viewers = draw.one([
    `anyone who likes ${genre}`,
    `people who like ${genre}`,
    `viewers who expect a ${draw.genre()}`,
  ]);
  return `${viewers} ${draw.one(lexicon.ADVICE[sentiment])}`;
};

const matter: Template = (draw, sentiment) => {
  const topic = draw.one(LASTING.filter(({ persons }) => !persons));
  return `what matters in a ${draw.genre()} is ${draw.one(topic.singular)}, and here it is ${intensified(draw, topic, sentiment)}`;
};

const choice: Template = (draw, sentiment) =>
  `if you ${draw.one(['only watch', 'only see', 'watch just'])} one ${draw.genre()} this ${draw.one(['year', 'month', 'summer', 'winter'])}, ${draw.one(lexicon.CHOICES[sentiment])}`;

const takes: Template = (draw, sentiment) => {
  const minutes = draw.one(['five minutes', 'ten minutes', 'half an hour', 'one scene']);
  return `it takes ${draw.one(['about', 'only', 'no more than'])} ${minutes} to see that ${clause(draw, draw.subject(draw.one(LASTING)), sentiment)}`;
};

const reported: Template = (draw, sentiment) => {
  const said = draw.one(FILM[opposite(sentiment)].adjectives);
  const found = intensified(draw, FILM, sentiment);
  const witness = draw.one(['my brother', 'my sister', 'a friend of mine', 'one critic', 'my neighbor']);
  return `${witness} ${draw.one(['says', 'claims', 'told me'])} that the ${draw.genre()} is ${said}, but I ${draw.one(['found it', 'think it is'])} ${found}`;
};

const credits: Template = (draw, sentiment) =>
  `by the time ${draw.one(['the credits roll', 'the lights come up', 'the story ends'])}, ${draw.one(lexicon.AFTERMATHS[sentiment])}`;

const scenes: Template = (draw, sentiment) =>
  `there are ${draw.one(['scenes', 'moments', 'whole passages'])} in this ${draw.genre()} ${draw.one(lexicon.SCENE_EFFECTS[sentiment])}`;

/** Every template, repeated by its weight: a uniform draw from the list respects the weights. */
const WEIGHTED: readonly Template[] = (
  [
    [aspect, 6],
    [opened, 6],
    [agreeing, 4],
    [because, 3],
    [but, 6],
    [although, 5],
    [halves, 2],
    [watched, 5],
    [remembered, 4],
    [compared, 1],
    [degree, 1],
    [performer, 4],
    [director, 2],
    [about, 5],
    [advice, 1],
    [matter, 2],
    [choice, 1],
    [takes, 2],
    [reported, 3],
    [credits, 1],
    [scenes, 1],
  ] as const
).flatMap(([template, weight]) => Array<Template>(weight).fill(template));

function clause(draw: Draw, subject: Subject, sentiment: Sentiment): string {
  return `${subject.text} ${draw.chance(0.45) ? verdict(draw, subject, sentiment) : copula(draw, subject, sentiment)}`;
}

/** The clause that decides a mixed sentence: a verdict on the film as a whole. */
function weighty(draw: Draw, sentiment: Sentiment): string {
  if (draw.chance(0.35)) return draw.one(lexicon.VERDICTS[sentiment]);
  const film = {
    topic: FILM,
    text: draw.one(['the film as a whole', 'the film', 'the movie', 'the whole thing']),
    plural: false,
  };
  return clause(draw, film, sentiment);
}

function verdict(draw: Draw, subject: Subject, sentiment: Sentiment): string {
  return agree(draw.one(subject.topic[sentiment].verbPhrases), subject.plural);
}

function copula(draw: Draw, subject: Subject, sentiment: Sentiment): string {
  const { topic, plural } = subject;
  const is = plural ? 'are' : 'is';
  if (draw.chance(0.3)) return `${is} ${negated(draw, topic, sentiment)}`;
  if (draw.chance(0.25)) {
    const [first, second] = draw.two(topic[sentiment].adjectives);
    return `${is} ${draw.one(['both ', ''])}${first} and ${second}`;
  }
  return `${is} ${intensified(draw, topic, sentiment)}`;
}

/** Expresses the sentiment by denying its opposite. */
function negated(draw: Draw, topic: Topic, sentiment: Sentiment): string {
  const [first, second] = draw.two(topic[opposite(sentiment)].adjectives);
  const never = topic.lasting ? ['never'] : [];
  return draw.one([
    ...(sentiment === 'good'
      ? ['anything but', 'not at all', ...never]
      : ['far from', 'not especially', ...never]
    ).map((denial) => `${denial} ${first}`),
    `neither ${first} nor ${second}`,
  ]);
}

function intensified(draw: Draw, topic: Topic, sentiment: Sentiment): string {
  const adjective = draw.one(topic[sentiment].adjectives);
  return draw.chance(0.5) ? `${draw.one(lexicon.INTENSIFIERS[sentiment])} ${adjective}` : adjective;
}

function longer(draw: Draw, { topic, text, plural }: Subject): string {
  const joiner = plural && topic.lasting ? 'in' : topic.joiner;
  const whole = draw.one([`this ${draw.genre()}`, 'this film', 'this movie', draw.one(lexicon.TITLES)]);
  return `${text} ${joiner} ${whole}`;
}

function opposite(sentiment: Sentiment): Sentiment {
  return sentiment === 'good' ? 'bad' : 'good';
}

function agree(text: string, plural: boolean): string {
  return text.replace(/\[([^/]*)\/([^\]]*)\]/g, plural ? '$2' : '$1');
}

/** Gives a sentence its capital letter, its full stop, and "an" before vowels. */
function finish(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`.replace(/\b([Aa]) (?=[aeiou])/g, '$1n ');
}

function createDraw(random: SeededRandom) {
  const one = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const chance = (probability: number) => random.float() < probability;
  const genre = () => one(lexicon.GENRES)[0];
  const two = <T>(list: readonly T[]): [T, T] => {
    const first = random.below(list.length);
    const second = (first + 1 + random.below(list.length - 1)) % list.length;
    return [list[first]!, list[second]!];
  };
  const subject = (topic: Topic): Subject => {
    const plural = topic.plural.length > 0 && chance(0.4);
    return { topic, text: one(plural ? topic.plural : topic.singular), plural };
  };
  const person = () => {
    const woman = chance(0.5);
    const name = `${one(woman ? lexicon.WOMEN : lexicon.MEN)} ${one(lexicon.SURNAMES)}`;
    return { name, possessive: woman ? 'her' : 'his' };
  };
  return { one, two, chance, genre, subject, person };
}

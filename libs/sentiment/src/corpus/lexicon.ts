/** The words and phrases of the corpus that belong to no topic. Those under `good` and `bad` carry sentiment. */
export const INTENSIFIERS = {
  good: ['really', 'truly', 'genuinely', 'surprisingly', 'consistently', 'quite'],
  bad: ['really', 'painfully', 'terribly', 'surprisingly', 'consistently', 'rather', 'hopelessly'],
} as const;

/** Verdicts on the whole film, each a full clause, for the weightier half of a mixed sentence. */
export const VERDICTS = {
  good: [
    'I still enjoyed every minute',
    'I would happily watch the film again',
    'I was moved to tears',
    'the film won me over in the end',
    'I loved the film all the same',
    'I left the theater smiling',
  ],
  bad: [
    'that is not enough to save the film',
    'I was still bored',
    'I would not watch the film again',
    'I could not wait for it to end',
    'I left the theater disappointed',
    'the film lost me in the end',
  ],
} as const;

/** What the viewers did; `[a/b]` agrees with "I" and "we". */
export const REACTIONS = {
  good: [
    'loved every minute of it',
    'laughed from start to finish',
    '[was/were] moved to tears',
    'could not look away',
    'left the theater smiling',
    '[was/were] hooked within minutes',
    'talked about it happily for days',
  ],
  bad: [
    'almost fell asleep',
    'wanted to leave early',
    'regretted buying the tickets',
    'struggled to stay awake',
    'could not wait for it to end',
    'left the theater disappointed',
    '[was/were] bored within minutes',
    'walked out before the end',
  ],
} as const;

export const THINGS = {
  good: [
    'a small triumph',
    'a real treat',
    'a quiet masterpiece',
    'a minor classic',
    'an unforgettable evening',
    'a rare delight',
    'something wonderful',
  ],
  bad: [
    'a complete mess',
    'a waste of time',
    'a missed opportunity',
    'a tired copy of better films',
    'a total disaster',
    'something unwatchable',
  ],
} as const;

export const ADVICE = {
  good: [
    'should see this one',
    'should not miss it',
    'will love every minute',
    'will leave the theater happy',
    'will be delighted',
    'will find plenty to enjoy',
  ],
  bad: [
    'should skip this one',
    'should look elsewhere',
    'will be bored to tears',
    'will want their money back',
    'will be disappointed',
    'will find nothing to enjoy',
  ],
} as const;

export const AFTERMATHS = {
  good: [
    'you will want to watch it again',
    'everyone in the room is smiling',
    'you feel you have seen something special',
  ],
  bad: [
    'you will have stopped caring',
    'you feel nothing but relief',
    'you will wish you had stayed at home',
  ],
} as const;

export const SCENE_EFFECTS = {
  good: [
    'that will stay with you for years',
    'that made me laugh out loud',
    'that are close to perfect',
    'that took my breath away',
  ],
  bad: [
    'that made me look at my watch',
    'that seem to last forever',
    'that serve no purpose',
    'that are hard to sit through',
    'that should have been cut',
  ],
} as const;

export const COMPARATIVES = {
  good: ['funnier', 'sharper', 'warmer', 'far better', 'more exciting', 'more moving'],
  bad: ['duller', 'weaker', 'clumsier', 'far worse', 'less exciting', 'less moving'],
} as const;

export const CHOICES = {
  good: ['make it this one', 'let it be this gem', 'this should be the one'],
  bad: ['choose a different one', 'make it anything but this', 'this should not be the one'],
} as const;

export const OPENERS: readonly string[] = [
  'Overall,',
  'For the most part,',
  'In the end,',
  'All in all,',
  'To my mind,',
  'On a second viewing,',
  'After the first hour,',
  'Given the small budget,',
  'As in the book,',
  'In my opinion,',
];

/** Openers for topics that last as long as the film. */
export const LASTING_OPENERS: readonly string[] = ['From the opening scene,', 'From beginning to end,'];

export const TAILS: readonly string[] = [
  'from the first scene to the last',
  'almost all the way through',
  'for most of the running time',
  'throughout',
];

export const GENRES: readonly (readonly [singular: string, plural: string])[] = [
  ['comedy', 'comedies'],
  ['drama', 'dramas'],
  ['thriller', 'thrillers'],
  ['western', 'westerns'],
  ['musical', 'musicals'],
  ['documentary', 'documentaries'],
  ['romance', 'romances'],
  ['heist film', 'heist films'],
  ['war film', 'war films'],
  ['mystery', 'mysteries'],
  ['road movie', 'road movies'],
  ['adventure', 'adventures'],
];

export const TITLES: readonly string[] = [
  'Harbor Lights',
  'The Long Winter',
  'The Glass Bridge',
  'A House in Lisbon',
  'Paper Boats',
  'The Last Ferry',
];

export const WOMEN: readonly string[] = ['Nora', 'Clara', 'Maya', 'Ingrid', 'Elena', 'Ruth'];
export const MEN: readonly string[] = ['Daniel', 'Marco', 'Victor', 'Oscar', 'Peter', 'Kenji'];
export const SURNAMES: readonly string[] = [
  'Mendes',
  'Okafor',
  'Tanaka',
  'Moreau',
  'Hale',
  'Novak',
  'Reed',
  'Sharma',
];

export const ROLES: readonly string[] = [
  'detective',
  'teacher',
  'doctor',
  'pilot',
  'chef',
  'nurse',
  'soldier',
  'boxer',
  'painter',
  'lawyer',
  'farmer',
  'journalist',
];

export const FATES: readonly string[] = [
  'returns to a small town',
  'searches for a missing brother',
  'falls in love with a stranger',
  'inherits a house by the sea',
  'crosses the country by train',
  'investigates a murder in the mountains',
  'opens a restaurant in Paris',
  'finds a box of old letters',
  'moves to an island',
];

export const COMPANIONS: readonly string[] = [
  'my brother',
  'my sister',
  'my parents',
  'my daughter',
  'two friends',
  'a friend from work',
  'my neighbor',
  'my whole family',
];

export const OCCASIONS: readonly string[] = [
  'last night',
  'on Friday',
  'at a festival',
  'on a long flight',
  'at home',
  'over the weekend',
  'on a rainy Sunday',
  'in London',
  'two weeks ago',
];

/** An earlier work and what it was made into. */
export const ADAPTATIONS: readonly (readonly [earlier: string, later: string])[] = [
  ['the book', 'this adaptation'],
  ['the original', 'this remake'],
  ['the first film', 'this sequel'],
  ['the stage play', 'this version'],
  ['the television series', 'this film'],
];

/** A film's earlier and later part. */
export const HALVES: readonly (readonly [earlier: string, later: string])[] = [
  ['the first half', 'the second half'],
  ['the opening hour', 'the last hour'],
  ['the beginning', 'the rest of the film'],
  ['the setup', 'the payoff'],
];

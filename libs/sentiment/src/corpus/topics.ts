/**
 * What a review speaks of, with the words for it. `[a/b]` is a singular and a plural form, resolved against the
 * subject.
 */
export interface Topic {
  /** As in "the acting in this film", "the plot of this film". */
  joiner: 'in' | 'of';
  /** Whether the topic lasts as long as the film, as acting does and an ending does not. */
  lasting: boolean;
  /** Whether its singular subjects are people, for whom "it" would be wrong. */
  persons?: true;
  singular: readonly string[];
  plural: readonly string[];
  good: Polar;
  bad: Polar;
}

interface Polar {
  adjectives: readonly string[];
  verbPhrases: readonly string[];
}

export const FILM: Topic = {
  joiner: 'of',
  lasting: true,
  singular: ['the film', 'this film', 'the movie', 'this movie', 'the picture', 'the whole thing'],
  plural: [],
  good: {
    adjectives: [
      'moving',
      'charming',
      'gripping',
      'entertaining',
      'memorable',
      'thoughtful',
      'delightful',
      'rewarding',
      'absorbing',
      'heartfelt',
      'engaging',
    ],
    verbPhrases: [
      'holds your attention',
      'deserves a wide audience',
      'stays with you for days',
      'is a joy to watch',
      'gets better with every scene',
      'leaves you smiling',
      'rewards your patience',
    ],
  },
  bad: {
    adjectives: [
      'boring',
      'dull',
      'tedious',
      'forgettable',
      'predictable',
      'shallow',
      'lifeless',
      'bland',
      'pointless',
      'exhausting',
      'disappointing',
    ],
    verbPhrases: [
      'wastes a strong premise',
      'is a chore to sit through',
      'outstays its welcome',
      'runs out of ideas',
      'never comes to life',
      'leaves you cold',
      'tests your patience',
    ],
  },
};

export const TOPICS: readonly Topic[] = [
  {
    joiner: 'of',
    lasting: true,
    singular: ['the plot', 'the story', 'the script', 'the screenplay'],
    plural: ['the plot twists', 'the subplots', 'the flashbacks'],
    good: {
      adjectives: ['clever', 'gripping', 'original', 'moving', 'satisfying', 'believable', 'ingenious'],
      verbPhrases: [
        '[keeps/keep] you guessing',
        '[makes/make] perfect sense',
        '[takes/take] bold risks',
        '[draws/draw] you in',
      ],
    },
    bad: {
      adjectives: [
        'predictable',
        'confusing',
        'contrived',
        'messy',
        'implausible',
        'tired',
        'muddled',
        'forced',
        'hollow',
      ],
      verbPhrases: [
        '[makes/make] no sense',
        '[goes/go] nowhere',
        '[insults/insult] your intelligence',
        '[borrows/borrow] from better films',
      ],
    },
  },
  {
    joiner: 'of',
    lasting: false,
    singular: ['the ending', 'the final scene', 'the last act', 'the big twist'],
    plural: ['the final scenes', 'the last ten minutes'],
    good: {
      adjectives: ['satisfying', 'moving', 'surprising', 'powerful', 'touching', 'unforgettable'],
      verbPhrases: [
        '[brings/bring] everything together',
        '[lands/land] with real force',
        '[gives/give] the story a graceful close',
      ],
    },
    bad: {
      adjectives: ['abrupt', 'predictable', 'forced', 'unsatisfying', 'rushed', 'silly'],
      verbPhrases: [
        '[spoils/spoil] everything before',
        '[comes/come] out of nowhere',
        '[leaves/leave] too much unexplained',
        '[cheats/cheat] the audience',
      ],
    },
  },
  {
    joiner: 'in',
    lasting: true,
    persons: true,
    singular: ['the main character', 'the villain', 'the young hero'],
    plural: ['the characters', 'the two sisters', 'the minor characters'],
    good: {
      adjectives: ['likeable', 'believable', 'fascinating', 'complex', 'sympathetic', 'memorable'],
      verbPhrases: [
        '[feels like a real person/feel like real people]',
        '[grows/grow] in unexpected ways',
        '[wins/win] your heart',
        '[has/have] real depth',
      ],
    },
    bad: {
      adjectives: ['flat', 'unlikeable', 'annoying', 'cartoonish', 'unconvincing', 'forgettable'],
      verbPhrases: [
        '[has/have] no depth',
        '[behaves like a puppet/behave like puppets]',
        '[remains a cliché/remain clichés]',
        '[gives/give] you no reason to care',
      ],
    },
  },
  {
    joiner: 'in',
    lasting: true,
    singular: ['the acting', 'the lead performance', 'the cast', 'the supporting cast'],
    plural: ['the performances', 'the actors', 'the two leads'],
    good: {
      adjectives: ['superb', 'convincing', 'heartfelt', 'natural', 'magnetic', 'excellent', 'touching'],
      verbPhrases: [
        '[brings/bring] warmth to every scene',
        '[lifts/lift] the whole film',
        '[gives/give] the story its heart',
        '[rises/rise] to the occasion',
        '[shines/shine] in the quiet scenes',
      ],
    },
    bad: {
      adjectives: ['wooden', 'stiff', 'unconvincing', 'flat', 'lazy', 'amateurish', 'lifeless'],
      verbPhrases: ['[robs/rob] the story of any feeling', '[fails/fail] to convince'],
    },
  },
  {
    joiner: 'in',
    lasting: true,
    singular: ['the dialogue', 'the banter', 'the humor', 'the narration'],
    plural: ['the jokes', 'the conversations', 'the one-liners'],
    good: {
      adjectives: ['witty', 'sharp', 'funny', 'clever', 'warm', 'fresh', 'delightful'],
      verbPhrases: ['[sparkles/sparkle] with wit', '[lands/land] every time', '[rings/ring] true'],
    },
    bad: {
      adjectives: ['stilted', 'clumsy', 'lazy', 'stale', 'crude', 'corny', 'repetitive'],
      verbPhrases: [
        '[falls/fall] flat',
        '[gets/get] old fast',
        '[makes/make] you cringe',
        '[sounds/sound] like a first draft',
      ],
    },
  },
  {
    joiner: 'of',
    lasting: true,
    singular: ['the direction', 'the editing', 'the pacing', 'the storytelling'],
    plural: ['the transitions', 'the long takes'],
    good: {
      adjectives: ['assured', 'confident', 'elegant', 'graceful', 'inventive'],
      verbPhrases: [
        '[keeps/keep] the tension high',
        '[never wastes/never waste] a moment',
        '[serves/serve] the story well',
        '[builds/build] to a thrilling finish',
      ],
    },
    bad: {
      adjectives: ['sluggish', 'uneven', 'choppy', 'aimless', 'clumsy', 'careless'],
      verbPhrases: [
        '[kills/kill] any tension',
        '[ruins/ruin] the best ideas',
        '[tries/try] the patience of the audience',
      ],
    },
  },
  {
    joiner: 'of',
    lasting: true,
    singular: ['the soundtrack', 'the score', 'the music', 'the title song'],
    plural: ['the songs', 'the musical numbers'],
    good: {
      adjectives: ['haunting', 'beautiful', 'stirring', 'catchy', 'lovely', 'uplifting'],
      verbPhrases: [
        '[lifts/lift] every scene',
        '[adds/add] real emotion',
        '[stays/stay] in your head for days',
        '[gives/give] the quiet moments their power',
      ],
    },
    bad: {
      adjectives: ['grating', 'intrusive', 'bland', 'overbearing', 'repetitive'],
      verbPhrases: [
        '[drowns/drown] out the dialogue',
        '[grates/grate] after ten minutes',
        '[spoils/spoil] the quiet moments',
      ],
    },
  },
  {
    joiner: 'in',
    lasting: true,
    singular: ['the cinematography', 'the camerawork', 'the lighting', 'the production design'],
    plural: ['the visuals', 'the special effects', 'the costumes', 'the action scenes'],
    good: {
      adjectives: ['stunning', 'gorgeous', 'striking', 'dazzling', 'imaginative', 'beautiful'],
      verbPhrases: [
        '[makes/make] every frame glow',
        '[brings/bring] the city to life',
        '[takes/take] your breath away',
        '[gives/give] the film a dreamlike beauty',
      ],
    },
    bad: {
      adjectives: ['ugly', 'murky', 'cheap', 'dated', 'shoddy'],
      verbPhrases: ['[looks/look] cheap', '[hurts/hurt] the eyes', '[looks/look] unfinished'],
    },
  },
];

import perfectionist from 'eslint-plugin-perfectionist';
import { Alphabet } from 'eslint-plugin-perfectionist/alphabet';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** The order of names and paths: by their characters, capitals first. */
const byCharacter = {
  type: 'custom',
  alphabet: Alphabet.generateRecommendedAlphabet().sortByCharCodeAt().getCharacters(),
  ignoreCase: false,
};

/** The rooms of the house; what each may import is below. */
const rooms = [
  'protocol',
  'controller',
  'wire',
  'accessory',
  'device',
  'runner',
  'report',
  'vectors',
  'clone',
  'diagnosis',
  'cli',
];

/** What the two ends of a run compute with different implementations: no primitive may be shared by them. */
const accessoryComputes = [
  'SrpServer',
  'accessoryIdentity',
  'accessoryProof',
  'clientSession',
  'controlKeys',
  'controllerIdentity',
  'controllerProof',
  'curvePublicKey',
  'deriveKey',
  'ephemeralKeys',
  'frameOpener',
  'hkdfSha512',
  'makeVerifier',
  'mfiChallenge',
  'multiplier',
  'noble',
  'open',
  'openIgnoringTag',
  'pow',
  'power',
  'powG',
  'privateKey',
  'restoreIdentity',
  'scrambler',
  'seal',
  'sealFrame',
  'sessionKey',
  'setupHash',
  'sha512',
  'sharedSecret',
  'sign',
  'splitKeys',
  'verifySignature',
];

/** The machines of the reference accessory and what each may import of the others; their faults import what they change. */
const machines = {
  messages: [],
  device: [],
  setup: ['messages', 'device'],
  verify: ['messages', 'device'],
  pairings: ['messages', 'device'],
  session: ['messages', 'device', 'setup', 'verify'],
  http: ['messages', 'device', 'setup', 'verify', 'pairings', 'session'],
  announcement: ['device'],
};

/**
 * Import rules of one room: its own files, the rooms named in `from`, and as types only those named in `types`; of its
 * subfolders, those named in `inner`. Patterns see the text of an import and not where it leads, so files of a subfolder
 * have patterns of their own.
 */
function room(name, { from = [], types = [], elsewhere, inner = {} }) {
  const open = new Set([name, ...from, ...types]);
  const closed = rooms.filter((other) => !open.has(other));
  const allowed = from.length === 0 ? 'nothing of ours' : `only ${from.join(', ')}`;
  const rulesFor = (up, own = []) => {
    const patterns = [
      ...own,
      { regex: `^${up}(${closed.join('|')})/`, message: `${name} imports ${allowed}.` },
      { regex: `^${up}\\.\\./`, message: 'Only cli, test and bench look outside harness/.' },
      // The entry points re-export the rooms: importing them would go around every rule.
      { regex: `^${up}(suite|index|mocha)\\.js$`, message: `${name} imports rooms, not the doors.` },
    ];
    if (elsewhere !== undefined)
      patterns.push({
        regex: `^${up}protocol/`,
        importNames: elsewhere.names,
        allowTypeImports: true,
        message: elsewhere.message,
      });
    if (types.length > 0)
      patterns.push({
        regex: `^${up}(${types.join('|')})/`,
        allowTypeImports: true,
        message: `${name} takes only types from ${types.join(', ')}.`,
      });
    return { 'no-restricted-imports': ['error', { patterns }] };
  };
  return [
    { files: [`harness/${name}/*.ts`], rules: rulesFor('\\.\\./') },
    { files: [`harness/${name}/*/*.ts`, `harness/${name}/*/*.tsx`], rules: rulesFor('\\.\\./\\.\\./') },
    ...Object.entries(inner).map(([folder, others]) => ({
      files: [`harness/${name}/${folder}/*.ts`],
      ignores: [`harness/${name}/${folder}/faults.ts`],
      rules: rulesFor('\\.\\./\\.\\./', [
        {
          regex: `^\\.\\./(?!\\.\\.|(${[folder, ...others].join('|')})/|[a-z]+\\.js$)`,
          message: `${folder} imports only ${others.join(', ') || 'what stands beside it'}.`,
        },
        {
          regex: '^\\.\\./behaviour\\.js$',
          message: 'Behaviour is the sum of the machines: none imports it.',
        },
      ]),
    })),
    { files: [`harness/${name}/*/*/*.ts`], rules: rulesFor('\\.\\./\\.\\./\\.\\./') },
    {
      files: [`harness/${name}/*/*/*/**/*.ts`],
      rules: {
        'no-restricted-syntax': ['error', { selector: 'Program', message: 'Too deep for the import rules.' }],
      },
    },
  ];
}

export default defineConfig(
  globalIgnores(['dist/', 'test/examples/', 'reports/', 'vectors/', '.hapspec/']),
  {
    // Node's own first, then packages, then ours, from afar to near; `eslint --fix` makes it so.
    plugins: { perfectionist },
    rules: {
      'perfectionist/sort-imports': [
        'error',
        {
          ...byCharacter,
          newlinesBetween: 0,
          groups: [
            ['value-builtin', 'type-builtin'],
            ['value-external', 'type-external', 'value-subpath'],
            ['value-parent', 'type-parent'],
            ['value-sibling', 'type-sibling', 'value-index', 'type-index'],
          ],
        },
      ],
      'perfectionist/sort-named-imports': ['error', { ...byCharacter, ignoreAlias: true }],
    },
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // Mocha swallows stray rejections, so a promise nobody waits for can hide a failure.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // Indices are checked by noUncheckedIndexedAccess; where a bound was just tested, `!` says so.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // A method that ignores an argument of its interface says so with an underscore.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // An async method may satisfy an interface that others implement with I/O.
      '@typescript-eslint/require-await': 'off',
      // The functions of node:fs and of noble need no `this`.
      '@typescript-eslint/unbound-method': 'off',
      eqeqeq: 'error',
      'prefer-const': 'error',
    },
  },

  {
    // What is longer is read by nobody from top to bottom. Data may be.
    files: ['harness/**/*.ts', 'harness/**/*.tsx', 'suites/**/*.ts'],
    ignores: ['harness/vectors/shapes.ts'],
    rules: { 'max-lines': ['error', 500] },
  },

  ...room('protocol', {}),
  ...room('controller', { from: ['protocol'] }),
  ...room('wire', { from: ['protocol'] }),
  ...room('accessory', {
    from: ['protocol', 'wire'],
    inner: machines,
    elsewhere: {
      names: accessoryComputes,
      message: 'The accessory computes with OpenSSL: accessory/crypto.js has this function.',
    },
  }),
  {
    // The one file that binds them.
    files: ['harness/accessory/crypto.ts'],
    rules: room('accessory', { from: ['protocol', 'wire'] })[0].rules,
  },
  ...room('device', { from: ['protocol', 'controller', 'wire', 'accessory'] }),
  ...room('runner', { from: ['protocol', 'controller', 'wire', 'accessory', 'device'] }),
  ...room('report', { from: ['protocol'], types: ['runner', 'wire'] }),
  ...room('vectors', { from: ['protocol'], types: ['runner', 'controller', 'wire', 'accessory', 'device'] }),
  ...room('diagnosis', { from: ['protocol'], types: ['runner'] }),
  // The snapshot is checked by its schema, and one place says how a file is written at once.
  ...room('clone', { from: ['protocol', 'vectors', 'report'] }),
  {
    files: ['harness/cli/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(\\.\\./)+suites/(?!index\\.js$)',
              message: 'The list of the suites is suites/index.js.',
            },
            { regex: '^(\\.\\./)+(test|bench)/', message: 'Nothing shipped imports tests or benchmarks.' },
          ],
        },
      ],
    },
  },
  {
    // The doors: they gather the rooms. Only the one that reads which checks are wanted imports the suites.
    files: ['harness/*.ts'],
    ignores: ['harness/wanted.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^(\\.\\./)+(suites|test|bench)/', message: 'Only cli, test and bench import these.' },
          ],
        },
      ],
    },
  },
  {
    // A check can be read without knowing the harness: everything comes through one narrow door.
    files: ['suites/**/*.ts'],
    ignores: ['suites/index.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(?!(\\.\\./)+harness/suite\\.js$|\\./[a-z0-9-]+\\.js$)',
              message: 'Suites import only harness/suite.js and what stands beside them.',
            },
          ],
        },
      ],
    },
  },
  {
    // What a suite file needs is said in a dozen names, so that its first screen shows a check.
    files: ['suites/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ImportDeclaration[specifiers.length>12]',
          message: 'At most a dozen names: outcomes, edits, hap and arbitraries hold the vocabulary.',
        },
      ],
    },
  },
  {
    files: ['suites/index.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(?!\\.\\./harness/suite\\.js$|\\./)',
              message: 'The list of the suites imports only them and harness/suite.js.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'suites/**/*.ts'],
    rules: {
      // `expect(x).to.be.empty` is an assertion.
      '@typescript-eslint/no-unused-expressions': 'off',
    },
  },
);

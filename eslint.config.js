import { defineConfig, globalIgnores } from 'eslint/config';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

// The rooms of src/ and the floor each stands on: a room imports only from the floors below it (docs/architecture.md says why).
// A new room gets a line here before its first file passes.
const floors = [
  ['numerics'],
  ['schemes', 'formats'],
  ['runtime/model', 'runtime/text'],
  ['runtime/engine', 'runtime/kv'],
  ['observers'],
  ['modifiers'],
  ['recipe', 'outputs', 'evaluation'],
  ['run'],
  ['experiment'],
  ['cli'],
];

/** Rooms on the same floor that are open all the same: a format stores what a scheme describes, so it knows the scheme's vocabulary. */
const alsoOpen = { formats: ['schemes'] };

/** Rooms below that stay closed: a modifier names sites of a model; it knows no engine and no file. */
const closed = { modifiers: ['runtime/engine', 'formats'] };

const rooms = floors.flatMap((names, floor) =>
  names.map(name => {
    const below = floors.slice(0, floor).flat();
    const open = [...below, ...(alsoOpen[name] ?? [])].filter(other => !closed[name]?.includes(other));
    return { name, open };
  }),
);

/** The part of each room's name that `pattern` finds, as alternatives of a glob. */
const names = pattern => rooms.flatMap(({ name }) => name.match(pattern) ?? []).join('|');

const zones = [
  ...rooms.map(({ name, open }) => ({
    target: `./src/${name}`,
    from: './src',
    except: [`./${name}`, './errors.ts', ...open.map(other => `./${other}`)],
    message: `src/${name} may import from ${['src/errors.ts', ...open].join(', ')}.`,
  })),
  { target: './src/errors.ts', from: './src', message: 'src/errors.ts stands below every room and imports none.' },
  {
    target: [
      './src/!(index|testing|errors).ts',
      `./src/!(${names(/^[^/]+/)})/**`,
      `./src/runtime/!(${names(/(?<=runtime\/).+/)})/**`,
    ],
    from: './src',
    message: 'This file is in no room: give the room a floor in eslint.config.js.',
  },
  { target: './src', from: ['./test', './scripts', './bin'], message: 'The product does not import its own tools.' },
];

const noModuleState = {
  selector: ':matches(Program, Program > ExportNamedDeclaration) > VariableDeclaration[kind="let"]',
  message: 'No state outside functions: pass it, or keep it in an object that someone owns.',
};
const noBarrels = {
  selector: 'ExportAllDeclaration, ExportNamedDeclaration[source]',
  message: 'No barrels: import from the file that defines the name. Only src/index.ts and src/testing.ts re-export.',
};

export default defineConfig(
  globalIgnores(['dist/', 'out/', 'coverage/', 'kernels/', 'examples/']),
  {
    files: ['**/*.{ts,js,mjs}'],
    plugins: { 'import-x': importX },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    settings: {
      // Both settings are load-bearing: without the resolver no import is resolved and no-restricted-paths reports nothing; without the
      // parser no-cycle reads no TypeScript file. no-unresolved and test/lint/directions.test.ts notice when either is lost.
      'import-x/resolver-next': [
        createNodeResolver({ extensions: ['.ts', '.js', '.json'], extensionAlias: { '.js': ['.ts', '.js'] } }),
      ],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
    },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'import-x/no-unresolved': 'error',
      'import-x/no-cycle': 'error',
      'import-x/no-duplicates': 'error',
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones }],
      'import-x/no-extraneous-dependencies': ['error', { devDependencies: ['test/**', 'scripts/**', '*.js', '*.mjs'] }],
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // An index into a typed array is `number | undefined` to the compiler; hot loops say `!` where the bounds are plain to see.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `goldenJson<Cases>(file)`: the caller states what it reads.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `return print(text)` and `void | Promise<void>` say what they mean.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      // assemblyscript's types, which scripts/ import, make `.at(-1)` of a list always defined: these two then ask for the removal of checks
      // that the build of src/ asks for.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      // An error that is passed on is whatever was thrown.
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      // Interfaces here are records of functions; none of them uses `this`.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      // What is printed is the business of src/cli, which writes to the streams it is given.
      'no-console': 'error',
      'no-restricted-syntax': ['error', noModuleState, noBarrels],
      'import-x/no-default-export': 'error',
    },
  },
  // A modifier or observer is its file: built-in or a user's, it is what the file exports by default.
  // So is what a thread of the pool runs, for piscina.
  {
    files: ['src/modifiers/**/*.ts', 'src/observers/**/*.ts', 'src/run/pool-thread.ts'],
    rules: { 'import-x/no-default-export': 'off' },
  },
  {
    // Tests read JSON and say what they expect in it.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['src/index.ts', 'src/testing.ts'], rules: { 'no-restricted-syntax': ['error', noModuleState] } },
);

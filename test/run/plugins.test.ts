import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { TensorpressError } from '../../src/errors.js';
import { apply } from '../../src/run/apply.js';
import type { RunEvent } from '../../src/run/events.js';
import { plan } from '../../src/run/prepare.js';
import { runSession } from '../../src/run/session.js';
import { failure } from '../support/failure.js';
import { pluginText, writeFiles } from '../support/plugin.js';
import { cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const ROWS = JSON.stringify({ input_ids: [0, 1, 2].map(i => Array.from({ length: 16 }, (_, t) => (7 * t + i) % 80)) });

const ROUND =
  'QuantizationModifier: {config_groups: {all: {targets: [Linear], weights: {num_bits: 8, strategy: channel}}}, ignore: [lm_head]}';

/** A recipe beside its files. */
function recipe(
  files: Readonly<Record<string, string>>,
  { modifiers = ['BadModifier: {}', ROUND], plugins = './bad.ts' } = {},
): string {
  const text = `version: 1
modifiers:
${modifiers.map(modifier => `  - ${modifier}\n`).join('')}calibration: {dataset: ./rows.json}
plugins: [${plugins}]
`;
  return writeFiles({ 'recipe.yaml': text, 'rows.json': ROWS, ...files })[0]!;
}

/** What a run ends with that is stopped soon after the first event that `when` means. */
function stopped(path: string, model: string, when: (event: RunEvent) => boolean): Promise<TensorpressError> {
  const abort = new AbortController();
  let waiting = false;
  return failure(
    apply({
      ...{ recipe: path, model, out: join(tempFolder(), 'out'), signal: abort.signal },
      onEvent(event) {
        if (waiting || !when(event)) return;
        waiting = true;
        void setTimeout(200).then(() => abort.abort());
      },
    }),
  );
}

describe('a plugin in a run', () => {
  let model: string;
  before(async () => (model = await writeModel(tinyLlama())));

  const run = (path: string, out = join(tempFolder(), 'out')) => runSession({ recipe: path, model, out });

  it('edits what later modifiers see', async () => {
    const edit = "await emit({ kind: 'dense', module: module.name, weight: weight.fill(0.5) });";
    const [own, without] = [recipe({ 'bad.ts': pluginText({ edit }) }), recipe({ 'bad.ts': pluginText() })];
    const reports = [await run(own), await run(without)].map(({ report }) => report);
    const errors = reports.map(
      ({ modules }) => modules.find(m => m.module.endsWith('layers.1.self_attn.q_proj'))!.relMSE,
    );
    // one number throughout is next to exact
    assert.ok(errors[0]! < 1e-6 && errors[1]! > 1e-6, errors.join());
    assert.deepEqual(
      reports.map(({ plan: { steps } }) => steps[0]!.edits),
      [2, 2],
    );
  });

  it('is listed with its hashes, copied, and found again', async () => {
    const path = recipe({
      'bad.ts': `import './lib/more.ts';\n${pluginText({ schema: "'./bad.schema.json'" })}`,
      'lib/more.ts': 'export {};',
      'bad.schema.json': '{"type": "object"}',
    });
    const out = join(tempFolder(), 'out');
    const summary = await plan({ recipe: path, model });
    const hash = (name: string) =>
      createHash('sha256')
        .update(readFileSync(join(dirname(path), name)))
        .digest('hex');
    const files = ['./bad.ts', './lib/more.ts', './bad.schema.json'].map(name => ({ path: name, sha256: hash(name) }));
    assert.deepEqual(summary.plugins, [{ path: './bad.ts', modifiers: ['BadModifier'], observers: [], files }]);

    await run(path, out);
    const record = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as {
      inputs: { path: string; sha256: string }[];
    };
    for (const { path: name, sha256 } of files)
      assert.equal(record.inputs.find(input => input.path === name)?.sha256, sha256);
    assert.deepEqual(readdirSync(join(out, 'inputs'), { recursive: true }).sort(), [
      'bad.schema.json',
      'bad.ts',
      'lib',
      'lib/more.ts',
      'rows.json',
    ]);
    assert.match(readFileSync(join(out, 'recipe.yaml'), 'utf8'), /^plugins: \[\.\/inputs\/bad\.ts\]$/m);
    const again = join(tempFolder(), 'again');
    await run(join(out, 'recipe.yaml'), again);
    for (const name of ['model.safetensors', 'recipe.yaml', 'inputs/bad.ts'])
      assert.ok(readFileSync(join(out, name)).equals(readFileSync(join(again, name))), name);
  });

  it('of the same name as another one is copied beside it', async () => {
    const path = recipe(
      { 'bad.ts': pluginText(), 'x/bad.ts': pluginText({ type: 'OtherModifier' }) },
      { plugins: './bad.ts, ./x/bad.ts' },
    );
    const out = join(tempFolder(), 'out');
    await run(path, out);
    assert.match(
      readFileSync(join(out, 'recipe.yaml'), 'utf8'),
      /plugins: \[\.\/inputs\/bad\.ts, \.\/inputs\/plugin-2\/bad\.ts\]/,
    );
    await run(join(out, 'recipe.yaml'));
  });

  it('that is another one does not go on with a run', async () => {
    const path = recipe({ 'bad.ts': pluginText({ edit: "if (part.id === 'layers.1') throw new Error('stop');" }) });
    const out = join(tempFolder(), 'out');
    await failure(run(path, out));
    writeFileSync(join(dirname(path), 'bad.ts'), pluginText());
    const { code, message } = await failure(run(path, out));
    assert.equal(code, 'FINISHED');
    assert.match(message, /what differs: \.\/bad\.ts/);
  });

  const sentences: readonly (readonly [what: string, given: Parameters<typeof pluginText>[0], message: RegExp])[] = [
    ['throws', { edit: "throw new Error('boo\\nno more');" }, /^BadModifier fails in edit of layers\.0: boo$/],
    ['throws no error', { edit: "throw 'boo';" }, /^BadModifier fails in edit of layers\.0: boo$/],
    ['throws in its plan', { plan: 'part.modules[99].name' }, /^BadModifier fails in plan of embedding: .*undefined/],
    ['plans nothing', { plan: 'undefined as never' }, /^BadModifier fails in plan of embedding: it gives no plan/],
    [
      'plans another part',
      { plan: "({ dense: ['lm_head'] })" },
      /plan of embedding: lm_head is no module of the part with a weight/,
    ],
    [
      'observes what nobody can',
      { plan: "({ observe: part.id === 'layers.1' ? [{ site: 'x', observer: 'energy' }] : [] })" },
      /^BadModifier observes x: the part has no such site$/,
    ],
    [
      'asks for an observer that is not',
      { plan: "({ observe: part.id === 'layers.1' ? [{ site: `${first(part).name}.input`, observer: 'x' }] : [] })" },
      /^BadModifier observes .*: there is no observer x of values$/,
    ],
    ['takes what it has not announced', { edit: "await statistics.take({ site: 'x', observer: 'energy' });" }, /x/],
    [
      'gives NaN',
      { edit: "weight[5] = NaN; await emit({ kind: 'dense', module: module.name, weight });" },
      /^BadModifier gives .*q_proj a weight that is NaN at \[0, 5\]$/,
    ],
    [
      'gives another shape',
      { edit: "await emit({ kind: 'dense', module: module.name, weight: weight.subarray(1) });" },
      /something else than the 4096 float32 numbers/,
    ],
    [
      'does not wait for a bad edit',
      { edit: "void emit({ kind: 'dense', module: module.name, weight: weight.subarray(1) });" },
      /something else than the 4096/,
    ],
    [
      'edits what it has not planned',
      { edit: "await emit({ kind: 'dense', module: part.modules.at(-1)!.name, weight });" },
      /^BadModifier edits .*, which its plan does not announce$/,
    ],
    ['emits no edit', { edit: 'await emit(undefined as never);' }, /^BadModifier emits what is no edit: /],
    [
      'keeps back what it has announced',
      { plan: "({ parameters: part.id === 'layers.0' ? [{ name: 'x', dtype: 'F32', shape: [1] }] : [] })", edit: '' },
      /^BadModifier does not emit x, which its plan announces$/,
    ],
    [
      'gives a parameter that is not finite',
      {
        plan: "({ parameters: part.id === 'layers.0' ? [{ name: 'x', dtype: 'F32', shape: [1] }] : [] })",
        edit: "await emit({ kind: 'parameter', name: 'x', values: [Infinity] });",
      },
      /^BadModifier gives x a value that is Infinity$/,
    ],
  ];
  for (const [what, given, message] of sentences) {
    it(`that ${what} is named, and nothing looks finished`, async () => {
      const out = join(tempFolder(), 'out');
      const path = recipe({ 'bad.ts': pluginText(given) });
      const error = await failure(run(path, out));
      assert.match(error.message, message);
      assert.deepEqual([error.code, error.exitCode], ['PLUGIN', 1]);
      assert.ok(!existsSync(join(out, 'run.json')) && !existsSync(join(out, 'config.json')));
    });
  }

  it('that fails where nobody waits for it is named', async () => {
    const edit = "setTimeout(() => { throw new Error('late'); }, 0); await new Promise(done => setTimeout(done, 20));";
    const path = recipe({ 'bad.ts': pluginText({ edit }) });
    const error = await failure(apply({ recipe: path, model, out: join(tempFolder(), 'out') }));
    assert.deepEqual([error.code, error.message], ['PLUGIN', 'BadModifier fails in layers.0: late']);
    assert.equal(error.place.file, join(dirname(path), 'bad.ts'));
  });

  it('that waits for ever while it is loaded is named', async () => {
    const path = recipe({ 'bad.ts': `await new Promise(() => {});\n${pluginText()}` });
    for (const command of [
      ['validate', path],
      ['apply', path, '--model', model, '--out', join(tempFolder(), 'out')],
    ]) {
      const { exitCode, stderr } = await cli(command);
      assert.match(stderr, /^a plugin (of the recipe )?never ends what it has begun$/m);
      assert.equal(exitCode, 1);
    }
  });

  it('that ends the process is named, whatever its exit code', async () => {
    const path = recipe({ 'bad.ts': `process.exit(0);\n${pluginText()}` });
    for (const command of [
      ['validate', path],
      ['apply', path, '--model', model, '--out', join(tempFolder(), 'out')],
    ]) {
      const { exitCode, stderr } = await cli(command);
      assert.match(stderr, /^a plugin ends the process: process\.exit\(0\)$/m);
      assert.equal(exitCode, 1);
    }
  });

  it('that fails in a timer while it is loaded is one sentence', async () => {
    const late = "setTimeout(() => { throw new Error('late'); }); await new Promise(done => setTimeout(done, 50));";
    const { exitCode, stderr } = await cli(['validate', recipe({ 'bad.ts': `${late}\n${pluginText()}` })]);
    assert.match(stderr, /late$/m);
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.equal(exitCode, 1);
  });

  it('writes what it likes, but not between JSON', async () => {
    const path = recipe({ 'bad.ts': `console.log('loaded');\n${pluginText({ edit: "console.log('edits');" })}` });
    const validated = await cli(['validate', path, '--json']);
    assert.deepEqual(JSON.parse(validated.stdout), { ok: true, errors: [] });
    assert.match(validated.stderr, /^loaded$/m);
    const out = join(tempFolder(), 'out');
    const applied = await cli(['apply', path, '--model', model, '--out', out, '--json']);
    assert.equal((JSON.parse(applied.stdout) as { version: number }).version, 1);
    assert.match(applied.stderr, /^edits$/m);
  });

  it('that waits for ever is named', async () => {
    const path = recipe({ 'bad.ts': pluginText({ edit: 'await new Promise(() => {});' }) });
    // as a process: a loader of TypeScript keeps threads alive
    const out = join(tempFolder(), 'out');
    const { exitCode, stderr } = await cli(['apply', path, '--model', model, '--out', out, '--quiet']);
    assert.match(stderr, /BadModifier never ends its edit of layers\.0$/m);
    assert.equal(exitCode, 1);
    assert.ok(!existsSync(join(out, 'run.json')));
  });

  for (const held of [false, true]) {
    it(`that loops for ever is ended${held ? ', while an engine is open' : ''}`, async () => {
      const observe = "observe: [{ site: `${first(part).name}.input`, observer: 'energy' }]";
      const planned = `(part.id.startsWith('layers.') ? { dense: [first(part).name], ${held ? observe : ''} } : {})`;
      const path = recipe({ 'bad.ts': pluginText({ plan: planned, edit: "if (part.id === 'layers.1') for (;;);" }) });
      const error = await stopped(path, model, event => {
        return event.type === 'step' && event.modifier === 'BadModifier' && event.part === 'layers.1';
      });
      assert.equal(error.code, 'INTERRUPTED');
      assert.match(error.message, /^stopped in layers\.1 .*, in BadModifier; nothing is lost$/);
    });
  }
});

describe('an observer of a plugin', () => {
  const text = (range: string) => `import { defineObserver, type Range } from 'tensorpress';
const half = ({ min, max }: Range): Range => (${range});
export default defineObserver<Range, Range>({
  names: ['half'],
  weightRange: async ({ weight, grid }) => half(await weight.range(grid)),
  values: {
    reduce: ({ size }) => [{ op: 'range', with: { size } }],
    init: () => ({ min: Float32Array.of(0), max: Float32Array.of(0) }),
    update(state, [range]) {
      state.min[0] = Math.min(state.min[0]!, range![0]!);
      state.max[0] = Math.max(state.max[0]!, range![1]!);
    },
    finish: half,
  },
});
`;
  const observed = (slots: string) => `QuantizationModifier: {config_groups: {a: {targets: ['re:.*mlp.*'], ${slots}}}}`;
  const weights = 'weights: {num_bits: 8, strategy: channel, observer: half}';
  const inputs =
    'weights: {num_bits: 8, strategy: channel}, input_activations: {num_bits: 8, strategy: tensor, observer: half}';
  const HALF = '{ min: min.map(v => v / 2), max: max.map(v => v / 2) }';
  let model: string;
  before(async () => (model = await writeModel(tinyLlama())));

  const run = (slots: string, range = HALF) => {
    const own = recipe({ 'bad.ts': text(range) }, { modifiers: [observed(slots)] });
    const out = join(tempFolder(), 'out');
    return runSession({ recipe: own, model, out }).then(applied => ({ ...applied, out }));
  };

  it('gives the scales of weights and of inputs, and is recorded', async () => {
    for (const slots of [weights, inputs]) {
      const { out } = await run(slots);
      const { observers } = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as {
        observers: Record<string, string>;
      };
      assert.ok(Object.values(observers).includes('half'), JSON.stringify(observers));
      assert.match(readFileSync(join(out, 'config.json'), 'utf8'), /"observer": "half"/);
    }
  });

  it('that loops for ever is ended, while an engine is open', async () => {
    const loops = text(HALF).replace('update(state, [range]) {', 'update(state, [range]) { for (;;);');
    const path = recipe({ 'bad.ts': loops }, { modifiers: [observed(inputs)] });
    const error = await stopped(path, model, event => event.type === 'progress' && event.part === 'layers.0');
    assert.equal(error.code, 'INTERRUPTED');
  });

  it('that gives no range is named', async () => {
    for (const slots of [weights, inputs]) {
      const none = await failure(run(slots, '{ min: min.map(() => NaN), max }'));
      assert.match(none.message, /observer half fails in (weightRange|finish): the range of block 0 is \[NaN, /);
      assert.equal(none.exitCode, 1);
      const few = await failure(run(slots, '{ min: min.subarray(1), max }'));
      assert.match(few.message, /observer half fails in .*minima/);
    }
  });
});

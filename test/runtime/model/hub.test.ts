import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TensorpressError, type ErrorCode } from '../../../src/errors.js';
import { resolveModel, type ResolveOptions } from '../../../src/runtime/model/hub.js';
import { fakeHub, type FakeHub } from '../../support/fake-hub.js';
import { tempFolder } from '../../support/temp.js';

const commit = 'c0ffee'.padEnd(40, '0');
const weights = Buffer.alloc(5_000_000);
for (let i = 0; i < weights.length; i++) weights[i] = (i * 2654435761) >>> 13;
const single = {
  'config.json': Buffer.from('{"architectures": ["FooForCausalLM"]}'),
  'tokenizer.json': Buffer.from('{}'),
  'model.safetensors': weights,
  'pytorch_model.bin': Buffer.from('pickle'),
  'README.md': Buffer.from('# foo'),
};
const sharded = {
  'config.json': single['config.json'],
  'model.safetensors.index.json': Buffer.from(
    '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}',
  ),
  'model-1.safetensors': weights.subarray(0, 1000),
  'model-2.safetensors': weights.subarray(1000, 3000),
  'consolidated.safetensors': weights.subarray(0, 3000),
};

describe('resolveModel', () => {
  let hub: FakeHub;
  let cacheDir: string;
  let options: ResolveOptions;
  const start = async (files: Record<string, Buffer>) => {
    hub = await fakeHub(files, commit);
    cacheDir = tempFolder();
    options = { cacheDir, env: { HF_ENDPOINT: hub.endpoint }, wait: () => Promise.resolve() };
  };
  beforeEach(() => start(single));
  afterEach(() => hub.close());

  const fails = (spec: string, code: ErrorCode, message: RegExp, hint: RegExp, more: ResolveOptions = {}) =>
    assert.rejects(resolveModel(spec, { ...options, ...more }), (error: unknown) => {
      assert.ok(error instanceof TensorpressError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      return true;
    });

  it('never asks the network for a folder or for what looks like a path', async () => {
    const fetch = () => assert.fail('the network was asked');
    const here = tempFolder();
    mkdirSync(join(here, 'org/foo'), { recursive: true });
    const before = process.cwd();
    process.chdir(here);
    try {
      assert.deepEqual(await resolveModel('org/foo', { ...options, fetch }), {
        folder: join(process.cwd(), 'org/foo'),
        name: 'foo',
      });
    } finally {
      process.chdir(before);
    }
    for (const spec of [
      './org/foo',
      '../foo',
      '/org/foo',
      'a/b/c',
      'org\\foo',
      'foo',
      '',
      'org/foo@',
      'org/foo@../x',
      '.',
    ]) {
      assert.equal((await resolveModel(spec, { ...options, fetch })).commit, undefined, spec);
    }
    assert.equal((await resolveModel('~/foo', { ...options, fetch })).folder, join(homedir(), 'foo'));
  });

  it('downloads what a model folder needs, byte for byte, with progress', async () => {
    const progress: string[] = [];
    const onProgress: ResolveOptions['onProgress'] = ({ file, bytes, total }) =>
      progress.push(`${file} ${bytes}/${total}`);
    const { folder, name, commit: at } = await resolveModel('org/foo@v1', { ...options, onProgress });
    assert.deepEqual([folder, name, at], [join(cacheDir, 'org--foo', commit), 'org/foo', commit]);
    assert.deepEqual(readdirSync(folder).sort(), ['config.json', 'model.safetensors', 'tokenizer.json']);
    assert.ok(readFileSync(join(folder, 'model.safetensors')).equals(weights));
    assert.deepEqual(readdirSync(join(cacheDir, 'org--foo')).sort(), [commit, 'refs']);
    assert.ok(progress.length >= 5);
    assert.equal(progress.at(-1), 'model.safetensors 5000000/5000000');
  });

  it('downloads the shards that the index lists, and no other weights', async () => {
    await hub.close();
    await start(sharded);
    const { folder } = await resolveModel('org/foo', options);
    const names = ['config.json', 'model-1.safetensors', 'model-2.safetensors', 'model.safetensors.index.json'];
    assert.deepEqual(readdirSync(folder).sort(), names);
  });

  it('keeps a finished commit, and uses it without the network', async () => {
    await resolveModel('org/foo', options);
    const fetch: typeof globalThis.fetch = () =>
      Promise.reject(new TypeError('fetch failed', { cause: new Error('no route') }));
    assert.equal((await resolveModel(`org/foo@${commit}`, { ...options, fetch })).commit, commit);

    const notes: string[] = [];
    const branch = await resolveModel('org/foo', { ...options, fetch, onNote: note => notes.push(note) });
    assert.equal(branch.commit, commit);
    assert.deepEqual(notes, ['the hub cannot be reached; org/foo is taken from the cache, as it was at c0ffee00']);
    await fails('org/foo@v1', 'NETWORK', /cannot be reached \(no route\)/, /no folder here/, { fetch });

    hub.requests.length = 0;
    await resolveModel('org/foo', options);
    assert.deepEqual(hub.requests, ['GET /api/models/org/foo/revision/main']);
  });

  it('continues what an earlier run left, where it stopped', async () => {
    let sent = 0;
    hub.intercept = (_, response, path) => {
      if (!path.endsWith('/model.safetensors')) return false;
      if (sent++ === 0)
        response
          .writeHead(200, { 'Content-Length': weights.length })
          .write(weights.subarray(0, 2_000_000), () => response.destroy());
      else response.writeHead(503).end();
      return true;
    };
    await fails('org/foo', 'NETWORK', /answers with status 503/, /try again/);
    const partial = join(cacheDir, 'org--foo', `${commit}.partial`);
    assert.ok(existsSync(join(partial, 'config.json')));
    assert.equal(existsSync(join(cacheDir, 'org--foo', commit)), false);

    hub.intercept = undefined;
    hub.requests.length = 0;
    const { folder } = await resolveModel('org/foo', options);
    assert.ok(readFileSync(join(folder, 'model.safetensors')).equals(weights));
    const [last] = hub.requests.slice(-1);
    assert.match(last!, /model\.safetensors [1-9]\d*-$/);
    assert.equal(existsSync(partial), false);
    assert.equal(
      hub.requests.some(request => request.includes('tokenizer.json')),
      false,
    );
  });

  it('sends the token to the endpoint and to no other host', async () => {
    const other = await fakeHub({}, commit);
    hub.intercept = (_, response, path) => {
      if (!path.endsWith('/model.safetensors')) return false;
      response.writeHead(302, { Location: `${other.endpoint}/blob` }).end();
      return true;
    };
    other.intercept = (_, response) => {
      response.writeHead(200, { 'Content-Length': weights.length }).end(weights);
      return true;
    };
    try {
      await resolveModel('org/foo', { ...options, env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: 'secret' } });
      assert.deepEqual([...hub.tokens], ['Bearer secret']);
      assert.deepEqual([...other.tokens], [undefined]);
    } finally {
      await other.close();
    }
  });

  it('says what is wrong in a sentence, and the way out', async () => {
    const answer = (status: number, headers: Record<string, string> = {}, body = '') => {
      hub.intercept = (_, response) => {
        response.writeHead(status, headers).end(body);
        return true;
      };
    };
    answer(401);
    await fails('org/foo', 'MODEL', /no access to org\/foo, and there is no folder of this name/, /set HF_TOKEN/);
    await fails('org/foo', 'MODEL', /no access/, /token in HF_TOKEN is still valid/, {
      env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: 'x' },
    });
    answer(401, { 'X-Error-Code': 'GatedRepo' });
    await fails('org/foo', 'MODEL', /org\/foo is gated/, /accept its terms/);
    answer(403);
    await fails('org/foo', 'MODEL', /org\/foo is gated/, /accept its terms/);
    answer(404);
    await fails('org/bar', 'MODEL', /there is no model org\/bar on the hub, and no folder/, /spelling/);
    answer(404, { 'X-Error-Code': 'RevisionNotFound' });
    await fails('org/foo@nope', 'MODEL', /org\/foo has no revision nope/, /branch/);
    answer(429);
    await fails('org/foo', 'NETWORK', /refuses more requests/, /HF_TOKEN/);
    answer(500);
    await fails('org/foo', 'NETWORK', /answers with status 500/, /later/);
    answer(200, {}, '<html>please log in</html>');
    await fails('org/foo', 'NETWORK', /does not answer like a model hub/, /HF_ENDPOINT/);
    answer(200, {}, '{"sha": "../../x"}');
    await fails('org/foo', 'NETWORK', /does not answer like a model hub/, /HF_ENDPOINT/);
    await hub.close();
    await fails('org/foo', 'NETWORK', /cannot be reached \(\w+\)/, /check the network/);
  });

  it('refuses a repository that is no model in this format, before it downloads', async () => {
    const cases: [Record<string, Buffer>, RegExp, RegExp][] = [
      [{ 'foo.gguf': weights }, /holds no config\.json/, /GGUF/],
      [{ 'adapter_config.json': weights }, /holds no config\.json/, /adapter/],
      [{ 'config.json': single['config.json'], 'pytorch_model.bin': weights }, /holds no safetensors/, /pickles/],
      [{ 'config.json': single['config.json'] }, /holds no safetensors/, /transformers/],
    ];
    for (const [files, message, hint] of cases) {
      await hub.close();
      await start(files);
      await fails('org/foo', 'MODEL', message, hint);
      assert.equal(
        hub.requests.some(request => request.includes('/resolve/')),
        false,
      );
    }
    await hub.close();
    await start({
      ...sharded,
      'model.safetensors.index.json': Buffer.from('{"weight_map": {"a": "../../evil.safetensors"}}'),
    });
    await fails('org/foo', 'TENSOR', /is not a file name/, /./);
    await hub.close();
    await start({
      ...sharded,
      'model.safetensors.index.json': Buffer.from('{"weight_map": {"a": "absent.safetensors"}}'),
    });
    await fails('org/foo', 'MODEL', /lists absent\.safetensors, which the repository does not hold/, /./);
  });

  it('stops when it is told to, and says that it can continue', async () => {
    const controller = new AbortController();
    hub.intercept = (_, response, path) => {
      if (!path.endsWith('/model.safetensors')) return false;
      response.writeHead(200, { 'Content-Length': weights.length }).write(weights.subarray(0, 100));
      setTimeout(() => controller.abort(), 20);
      return true;
    };
    await fails('org/foo', 'INTERRUPTED', /was stopped/, /continues where it stopped/, { signal: controller.signal });
  });

  it('puts the cache where XDG_CACHE_HOME says', async () => {
    const cache = tempFolder();
    const { folder } = await resolveModel('org/foo', {
      env: { HF_ENDPOINT: `${hub.endpoint}/`, XDG_CACHE_HOME: cache },
    });
    assert.equal(folder, join(cache, 'tensorpress/models/org--foo', commit));
  });

  it('reports a cache that cannot be written', async () => {
    const file = join(tempFolder(), 'file');
    writeFileSync(file, '');
    await fails('org/foo', 'DISK', /cannot be written/, /./, { cacheDir: file });
  });
});

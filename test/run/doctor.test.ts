import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { doctor, type DoctorOptions, type Finding } from '../../src/run/doctor.js';
import { toolsOnPath } from '../../src/run/llama-tools.js';
import { cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

const MACHINE = ['Node.js', 'processor', 'memory', 'working folder', 'example model', 'Hugging Face token'];

const probes: Pick<Required<DoctorOptions>, 'onnx' | 'tfjs'> = {
  onnx: () =>
    Promise.resolve([
      {
        device: 'cuda',
        available: false,
        software: false,
        description: 'onnxruntime on cuda',
        why: 'no GPU',
        hint: 'install CUDA',
      },
      { device: 'webgpu', available: true, software: true, description: 'onnxruntime on webgpu (a software GPU)' },
      { device: 'cpu', available: true, software: false, description: 'onnxruntime on cpu' },
    ]),
  tfjs: () =>
    Promise.resolve([
      {
        device: 'cuda',
        available: false,
        description: 'tfjs cannot use cuda: it is not there',
        hint: 'npm install it',
      },
      { device: 'wasm', available: true, description: 'tfjs on wasm' },
    ]),
};

describe('doctor', () => {
  it('finds what a run needs here, each with a way out where it is missing', async () => {
    const found = await doctor({ cwd: tempFolder(), env: { HF_TOKEN: 'x' }, ...probes });
    const of = (name: string) => found.find(finding => finding.name === name)!;
    assert.deepEqual(
      found.filter(({ needed, name }) => needed && !/^engine/.test(name)).map(({ name }) => name),
      MACHINE,
    );
    assert.ok(found.every(({ ok, hint }) => ok === (hint === undefined)));
    assert.equal(of('Node.js').found, process.versions.node);
    assert.equal(of('Hugging Face token').found, 'found');
    assert.match(of('working folder').found, /free, writable$/);
  });

  it('lists engines with their devices; only the processor is needed', async () => {
    const found = (await doctor({ env: {}, ...probes })).filter(({ name }) => /^engine/.test(name));
    const row = ({ name, ok, needed, found: what, hint }: Finding) => [name, ok, needed, what, hint];
    assert.deepEqual(found.map(row), [
      ['engine onnx, cuda', false, false, 'no GPU', 'install CUDA'],
      [
        'engine onnx, webgpu',
        true,
        false,
        'onnxruntime on webgpu (a software GPU); used where --device webgpu asks for it',
        undefined,
      ],
      ['engine onnx, cpu', true, true, 'onnxruntime on cpu', undefined],
      ['engine tfjs, cuda', false, false, 'tfjs cannot use cuda: it is not there', 'npm install it'],
      ['engine tfjs, wasm', true, false, 'tfjs on wasm', undefined],
      [
        'engine reference, cpu',
        true,
        false,
        'in double precision, slow: what the others are measured against',
        undefined,
      ],
    ]);
  });

  it('says which tools of llama.cpp the PATH leads to', async function () {
    if (process.platform === 'win32') this.skip();
    const [folder, other] = [tempFolder(), tempFolder()];
    for (const name of ['llama-bench', 'llama-tokenize']) {
      writeFileSync(join(folder, name), '#!/bin/sh\n');
      chmodSync(join(folder, name), 0o755);
    }
    const env = { PATH: `${other}:${folder}` };
    const missing = ['llama-perplexity', 'llama-imatrix', 'llama-quantize'];
    assert.deepEqual(await toolsOnPath(env), { found: ['llama-bench', 'llama-tokenize'], missing });
    const tools = (await doctor({ env, ...probes })).find(({ name }) => name === 'llama.cpp tools')!;
    assert.deepEqual([tools.ok, tools.needed], [false, false]);
    assert.match(tools.found, /^llama-bench, llama-tokenize on the PATH; without llama-perplexity/);
    assert.match(tools.hint!, /install llama\.cpp/);
    assert.deepEqual((await toolsOnPath({})).found, []);
  });

  it('is quick, warns of nothing, and fails only where something is missing that every run needs', async () => {
    const began = performance.now();
    const { exitCode, stdout, stderr } = await cli(['doctor', '--json']);
    assert.ok(performance.now() - began < 15_000);
    assert.equal(stderr, '');
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    assert.equal(exitCode, findings.every(({ ok, needed }) => ok || !needed) ? 0 : 1);
    for (const name of ['engine onnx, cpu', 'engine onnx, webgpu', 'engine tfjs, wasm', 'engine reference, cpu']) {
      assert.ok(
        findings.some(finding => finding.name === name),
        name,
      );
    }
  });
});

import assert from 'node:assert/strict';
import { doctor } from '../../src/run/doctor.js';
import { tempFolder } from '../support/temp.js';

describe('doctor', () => {
  it('finds what a run needs here, each with a way out where it is missing', async () => {
    const found = await doctor({ cwd: tempFolder(), env: { HF_TOKEN: 'x' } });
    const of = (name: string) => found.find(finding => finding.name === name)!;
    assert.deepEqual(
      found.map(({ name }) => name),
      ['Node.js', 'processor', 'memory', 'working folder', 'example model', 'Hugging Face token'],
    );
    assert.ok(found.every(({ ok, hint }) => ok === (hint === undefined)));
    assert.equal(of('Node.js').found, process.versions.node);
    assert.equal(of('Hugging Face token').found, 'found');
    assert.match(of('working folder').found, /free, writable$/);
  });
});

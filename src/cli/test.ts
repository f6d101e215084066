import { stat } from 'node:fs/promises';
import { TensorpressError } from '../errors.js';
import { importFile } from '../recipe/plugins/module.js';

/** `tensorpress test`: runs tests of plugins, on any Node.js and with nothing installed beside them; node:test reports them and sets the exit code. */
export async function testCommand(files: readonly string[]): Promise<void> {
  for (const file of files) {
    if ((await stat(file).catch(() => undefined))?.isFile()) continue;
    throw new TensorpressError('ARGUMENT', `there is no test ${file}`, {
      place: { file },
      hint: 'name a file that imports node:test, as `tensorpress new modifier NAME` writes one',
    });
  }
  for (const file of files) await importFile(file);
}

// What recipes cost the example model: every recipe of recipes/, and GPTQ beside rounding to nearest at 4, 3 and 2 bits.
//
//   npm run results [-- row ...]     rows whose name holds one of these words, or all
//     --peer PYTHON    instead: the recipes that need data beside llm-compressor, run by this interpreter on the same token rows, judged by us
//     --write FILE     puts the tables between the lines <!-- results --> (or peer) and <!-- /results --> of a Markdown file, too
//     --windows N      windows of 128 tokens that are judged; default 100
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { printBeside, printSections, type Beside, type Section } from './results/print.js';
import { peerRows, sections, type Row } from './results/rows.js';
import { workshop } from './results/run.js';

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'string' }, peer: { type: 'string' }, windows: { type: 'string', default: '100' } },
});

const scratch = await mkdtemp(join(tmpdir(), 'tensorpress-results-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));

const { own, peer } = await workshop(scratch, Number(options.windows));
const machine = `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.versions.node}`;
const wanted = (rows: readonly Row[]) =>
  rows.filter(({ name }) => words.length === 0 || words.some(word => name.includes(word)));
const say = (line: string) => process.stderr.write(`${line}\n`);

if (options.peer === undefined) {
  const done: Section[] = [];
  for (const { title, rows } of await sections()) {
    const found: Section['rows'][number][] = [];
    for (const row of wanted(rows)) {
      say(`${title}: ${row.name}`);
      found.push({ name: row.name, ours: await own(row) });
    }
    if (found.length > 0) done.push({ title, rows: found });
  }
  put('results', printSections(done, machine));
} else {
  const done: Beside[] = [];
  for (const row of wanted(await peerRows())) {
    say(row.name);
    done.push({ name: row.name, ours: await own(row), theirs: await peer(row, options.peer) });
  }
  put('peer', printBeside(done, machine));
}

/** Prints text, and puts it between the lines of that name of the file that was asked for. */
function put(name: string, text: string): void {
  process.stdout.write(text);
  if (options.write === undefined) return;
  const page = readFileSync(options.write, 'utf8');
  const between = new RegExp(`(?<=<!-- ${name} -->\\n)[^]*(?=<!-- /${name} -->)`);
  if (!between.test(page)) throw new Error(`${options.write} has no lines <!-- ${name} --> and <!-- /${name} -->`);
  writeFileSync(
    options.write,
    page.replace(between, () => `\n${text}\n`),
  );
}

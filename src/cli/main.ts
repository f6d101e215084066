import { Command, CommanderError, Option } from 'commander';
import { readFileSync } from 'node:fs';
import { showError } from './errors.js';
import { createScreen, type Screen } from './screen.js';

interface Common {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
}

/** Runs the command line and gives the exit code. Commands are imported when they are called, so that the light ones start at once. */
async function main(argv: readonly string[]): Promise<number> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('tensorpress')
    .description('Compresses language models from a recipe.')
    .version(version)
    .showHelpAfterError('(tensorpress --help lists the commands)')
    .exitOverride()
    .configureHelp({ sortSubcommands: false });

  let exitCode = 0;
  const abort = new AbortController();
  const onSignal = () => abort.abort();

  const command = <Options extends Common>(
    usage: string,
    description: string,
    run: (context: { args: string[]; options: Options; json: boolean; screen: Screen }) => Promise<number>,
  ) =>
    program
      .command(usage)
      .description(description)
      .option('--json', 'exactly one JSON document on stdout')
      .option('--quiet', 'say nothing but the result and errors')
      .addOption(new Option('--debug', 'show stack traces').hideHelp())
      .action(async (...values: unknown[]) => {
        const self = values.at(-1) as Command;
        const options = self.opts<Options>();
        const json = options.json ?? false;
        const screen = createScreen({ json, quiet: options.quiet ?? false });
        process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
        try {
          exitCode = await run({ args: self.args, options, json, screen });
        } catch (error) {
          exitCode = showError(error, screen, { json, debug: options.debug ?? false });
        } finally {
          process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
        }
      });

  const model = [
    '--model <dir>',
    'model folder, or org/name[@revision] on the Hugging Face hub (default: the bundled example model)',
  ] as const;
  const set = [
    '--set <path=value>',
    'override a field of the recipe in native form (repeatable)',
    (value: string, all: string[]) => [...all, value],
    [] as string[],
  ] as const;

  command<Common & { model?: string; out?: string; set: string[]; force?: boolean }>(
    'apply <recipe>',
    'compress a model by a recipe',
    async ({ args, options, json, screen }) => {
      const { out, model, set, force = false } = options;
      if (out === undefined) return misuse('apply needs --out DIR: the folder for the checkpoint and the report');
      const { applyCommand } = await import('./apply.js');
      await applyCommand(
        { recipe: args[0]!, out, set, force, signal: abort.signal, ...(model === undefined ? {} : { model }) },
        screen,
        { json },
      );
      return 0;
    },
  )
    .option(...model)
    .option('--out <dir>', 'folder for the checkpoint and the report')
    .option(...set)
    .option('--force', 'replace what the folder holds');

  command<Common & { model?: string; set: string[] }>(
    'plan <recipe>',
    'show what apply would do; nothing is written',
    async ({ args, options, json, screen }) => {
      const { plan } = await import('../run/prepare.js');
      const { model, set } = options;
      const summary = await plan({
        recipe: args[0]!,
        set,
        signal: abort.signal,
        ...(model === undefined ? {} : { model }),
      });
      const { moduleLines, planLines } = await import('./plan-view.js');
      screen.print(
        json
          ? JSON.stringify(summary, null, 2)
          : ['', ...planLines(summary, screen), '', ...moduleLines(summary, screen), ''].join('\n'),
      );
      return 0;
    },
  )
    .option(...model)
    .option(...set);

  command<Common & { set: string[] }>(
    'validate <recipe>',
    'check a recipe without a model',
    async ({ args, options, json, screen }) => {
      const { validateCommand } = await import('./validate.js');
      return validateCommand(args[0]!, options.set, screen, { json });
    },
  ).option(...set);

  command<Common & { set: string[] }>(
    'normalize <recipe>',
    'print a recipe in native form',
    async ({ args, options, json, screen }) => {
      const { readRecipe } = await import('../recipe/read.js');
      const { printRecipe } = await import('../recipe/print.js');
      const { recipe } = await readRecipe(args[0]!, { overrides: options.set });
      screen.print(json ? JSON.stringify(recipe, null, 2) : printRecipe(recipe).trimEnd());
      return 0;
    },
  ).option(...set);

  command('inspect <path>', 'what a file, checkpoint or run folder holds', async ({ args, json, screen }) => {
    const { inspectCommand } = await import('./inspect.js');
    await inspectCommand(args[0]!, screen, { json });
    return 0;
  });

  command<Common & { to: string; out?: string; dtype?: 'float32' | 'float16' | 'bfloat16'; force?: boolean }>(
    'convert <dir>',
    'decompress a compressed-tensors checkpoint',
    async ({ args, options, json, screen }) => {
      const { out, to, dtype, force = false } = options;
      if (out === undefined) return misuse('convert needs --out DIR');
      if (to !== 'dense') return misuse(`convert knows --to dense, not --to ${to}`);
      const { convertCommand } = await import('./convert.js');
      await convertCommand(
        { model: args[0]!, to, out, force, signal: abort.signal, ...(dtype === undefined ? {} : { dtype }) },
        screen,
        { json },
      );
      return 0;
    },
  )
    .requiredOption('--to <format>', 'dense')
    .option('--out <dir>', 'folder for the result')
    .addOption(new Option('--dtype <dtype>', 'default: that of the source').choices(['float32', 'float16', 'bfloat16']))
    .option('--force', 'replace what the folder holds');

  command('doctor', 'what this machine has, what is missing and how to get it', async ({ json, screen }) => {
    const { doctorCommand } = await import('./doctor.js');
    return doctorCommand(screen, { json });
  });

  command<Common & { out?: string }>(
    'schema',
    'print or write the JSON Schema of recipes',
    async ({ options, screen }) => {
      const { schemaCommand } = await import('./schema.js');
      await schemaCommand(options.out, screen);
      return 0;
    },
  ).option('--out <file>', 'write it to a file');

  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return exitCode;
}

function misuse(sentence: string): number {
  process.stderr.write(`${sentence}\n`);
  return 2;
}

// a reader that goes away (`| head`) is not an error
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await main(process.argv);

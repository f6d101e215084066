import { mergedSchema } from '../recipe/schema.js';
import { writeWhole } from '../formats/files.js';
import type { Screen } from './screen.js';

/** `tensorpress schema`: one self-contained file for editors, which knows what these plugins bring. */
export async function schemaCommand(
  { out, plugins: paths = [] }: { out?: string; plugins?: readonly string[] },
  screen: Screen,
): Promise<void> {
  // plugins need a compiler, which the schema by itself does not
  const load = async () => (await import('../recipe/plugins/plugins.js')).loadPlugins(paths, '.');
  const text = JSON.stringify(mergedSchema(paths.length === 0 ? {} : await load()), null, 2);
  if (out === undefined) return screen.print(text);
  await writeWhole(out, `${text}\n`);
  screen.say(`${out} written; point your editor's YAML plugin at it`);
}

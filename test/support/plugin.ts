import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tempFolder } from './temp.js';

/** Writes files into a folder of their own and gives the paths, in their order. */
export function writeFiles(files: Readonly<Record<string, string>>, folder = tempFolder()): string[] {
  return Object.entries(files).map(([name, text]) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  });
}

export interface PluginText {
  /** Default: BadModifier. */
  readonly type?: string;
  /** Statements of `edit`, after `weight` of `module` has been read. Default: emits it as it is. */
  readonly edit?: string;
  /** The plan, an expression. Default: the first weight of each layer. */
  readonly plan?: string;
  readonly schema?: string;
}

/** The text of a plugin with one modifier, which edits the first weight of each layer. */
export function pluginText({
  type = 'BadModifier',
  edit = "await emit({ kind: 'dense', module: module.name, weight });",
  plan = "({ dense: part.id.startsWith('layers.') ? [first(part).name] : [] })",
  schema = "{ type: 'object', properties: { limit: { type: 'number', maximum: 2 } } }",
}: PluginText = {}): string {
  return `import { defineModifier, type Part } from 'tensorpress';
const first = (part: Part) => part.modules.find(module => module.weight !== undefined)!;
export default defineModifier<{ limit?: number }>({
  type: '${type}',
  schema: ${schema},
  plan: (options, part) => ${plan},
  async edit(part, { options, compute, emit, report, statistics }) {
    const module = first(part);
    const weight = await compute.weight(module);
    ${edit}
  },
});
`;
}

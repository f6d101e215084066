import type { Report } from './report.js';
import { formatScheme } from './units.js';

/** What a run has made of a model, one line for all modules that got the same: `- 42 modules: int4 group 128 symmetric, pack-quantized`. */
export function treatmentLines({ modules, plan: { attention } }: Pick<Report, 'modules' | 'plan'>): string[] {
  const weights = modules.flatMap(({ scheme, format }) => {
    const { weights: codes, input_activations: inputs, output_activations: outputs } = scheme ?? {};
    const what = [
      ...(codes ? [formatScheme(codes)] : []),
      ...(inputs ? [`inputs ${formatScheme(inputs)}`] : []),
      ...(outputs ? [`outputs ${formatScheme(outputs)}`] : []),
      ...(codes ? [format] : []),
    ];
    return what.length === 0 ? [] : [what.join(', ')];
  });
  const caches = attention.map(({ queries, cache }) =>
    [`keys and values ${formatScheme(cache)}`, ...(queries ? [`queries ${formatScheme(queries)}`] : [])].join(', '),
  );
  return [
    ...counts(weights).map(([what, count]) => `- ${count} ${count === 1 ? 'module' : 'modules'}: ${what}`),
    ...counts(caches).map(([what, count]) => `- cache of ${count} ${count === 1 ? 'layer' : 'layers'}: ${what}`),
  ];
}

function counts(all: readonly string[]): (readonly [string, number])[] {
  const found = new Map<string, number>();
  for (const one of all) found.set(one, (found.get(one) ?? 0) + 1);
  return [...found];
}

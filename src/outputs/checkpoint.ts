import type { WeightSpec } from '../formats/format.js';
import { byteLength } from '../formats/safetensors/layout.js';
import { weightFormat } from '../formats/weights/table.js';
import type { ModuleScheme } from '../modifiers/modifier.js';
import { weightedModules } from '../runtime/model/model.js';
import type { Blueprint, Output } from './output.js';
import { safetensorsFolder, type StoredTensor } from './safetensors-folder.js';

/** Default of `max_shard_size`, in bytes. */
export const MAX_SHARD = 5e9;

/** Every tensor that a compressed-tensors checkpoint of this plan holds, in the order of the work. */
export function storedTensors({ parts, model, outcome }: Blueprint): StoredTensor[] {
  return parts.flatMap(({ part, steps, copies }) => {
    const coded = new Set(steps.flatMap(({ codes }) => codes));
    const compressed = part.modules.flatMap(({ name, weight }): StoredTensor[] => {
      const scheme = outcome.schemes.get(name);
      if (!coded.has(name) || weight === undefined || scheme === undefined) return [];
      return weightFormat(scheme.format)
        .layout(weightSpec(weight, scheme))
        .map(({ suffix, dtype, shape }) => ({ name: `${name}.${suffix}`, dtype, shape, module: name }));
    });
    const copied = copies.map(({ tensor, as }): StoredTensor => {
      const { dtype, shape } = model.source.tensors.get(tensor)!;
      return { name: as, dtype, shape };
    });
    return [...compressed, ...steps.flatMap(({ parameters }) => parameters), ...copied];
  });
}

function weightSpec(
  { rows, columns, dtype }: { rows: number; columns: number; dtype: WeightSpec['dtype'] },
  scheme: ModuleScheme,
): WeightSpec {
  return { rows, columns, dtype, args: scheme.weights! };
}

/** A folder of safetensors in compressed-tensors' layout. */
export function checkpointOutput(plan: Blueprint, folder: string, maxShardSize: number = MAX_SHARD): Output {
  const specs = new Map(
    weightedModules(plan.model).flatMap(({ name, weight }) => {
      const scheme = plan.outcome.schemes.get(name);
      return scheme?.weights
        ? [[name, { spec: weightSpec(weight, scheme), format: weightFormat(scheme.format) }] as const]
        : [];
    }),
  );
  return {
    ...safetensorsFolder(storedTensors(plan), folder, maxShardSize),
    format: 'compressed-tensors',
    encoding(module) {
      const { spec, format } = specs.get(module)!;
      const [codes] = format.layout(spec);
      return {
        tensor: `${module}.${codes!.suffix}`,
        format: format.name,
        spec,
        rowBytes: byteLength(codes!) / spec.rows,
      };
    },
    encodeParameters(module, parameters) {
      const { spec, format } = specs.get(module)!;
      const around = format.compressParameters({ ...parameters, groupIndex: parameters.groupIndex ?? null }, spec);
      return new Map([...around].map(([suffix, bytes]) => [`${module}.${suffix}`, bytes]));
    },
  };
}

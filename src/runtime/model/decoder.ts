import { TensorpressError } from '../../errors.js';
import { ARCHITECTURES } from './architecture.js';
import { causalModelOf } from './config.js';
import type { Decoder } from './graph.js';
import type { Model } from './model.js';
import { ropeTable } from './rope.js';
import { Settings } from './settings.js';

/**
 * The model as graphs.
 * @throws TensorpressError MODEL when its architecture is not supported, a tensor is missing or does not fit config.json, or a field of
 * config.json changes the mathematics in a way that the architecture's graph does not know; it names tensor or field
 */
export function decoderOf(model: Model): Decoder {
  const { architecture, known } = model;
  const table = ARCHITECTURES.get(architecture);
  if (table === undefined) {
    throw new TensorpressError('MODEL', `models of architecture ${architecture} cannot be run`, {
      place: { file: 'config.json' },
      hint: `those that can: ${[...ARCHITECTURES.keys()].join(', ')}`,
    });
  }
  const { model_type: type } = model.config;
  const meant = typeof type === 'string' ? causalModelOf(type) : architecture;
  if (meant !== architecture && ARCHITECTURES.has(meant)) {
    throw new TensorpressError('MODEL', `architectures names ${architecture}, but model_type is that of ${meant}`, {
      place: { file: 'config.json' },
      hint: 'correct the one that is wrong in config.json: some readers go by architectures, others by model_type',
    });
  }
  if (!known) {
    throw new TensorpressError(
      'MODEL',
      `the tensors are not named as those of ${architecture}, so the model cannot be run`,
      {
        hint: 'load and save it with transformers, which gives tensors their names',
      },
    );
  }
  const settings = new Settings(model);
  const decoder = table.graph(settings);
  settings.checkUnread();
  for (const rope of Object.values(decoder.ropes)) ropeTable(rope, new Int32Array(), 'float64');
  return decoder;
}

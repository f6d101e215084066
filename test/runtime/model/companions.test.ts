import assert from 'node:assert/strict';
import { isCompanion } from '../../../src/runtime/model/companions.js';

describe('isCompanion', () => {
  it('takes what a model is not complete without', () => {
    const names = [
      ...[
        'generation_config.json',
        'tokenizer.json',
        'tokenizer_config.json',
        'tokenizer.model',
        'special_tokens_map.json',
      ],
      ...['added_tokens.json', 'vocab.json', 'vocab.txt', 'merges.txt', 'spiece.model', 'qwen.tiktoken', 'tekken.json'],
      ...[
        'chat_template.jinja',
        'chat_template.json',
        'modeling_foo.py',
        'preprocessor_config.json',
        'processor_config.json',
      ],
      ...['video_preprocessor_config.json', 'LICENSE', 'LICENSE.txt', 'NOTICE'],
    ];
    assert.deepEqual(
      names.filter(name => !isCompanion(name)),
      [],
    );
  });

  it('takes no weights, nothing that a run writes, and no way out of the folder', () => {
    const names = [
      ...[
        'config.json',
        'model.safetensors',
        'model.safetensors.index.json',
        'pytorch_model.bin',
        'tokenizer.bin',
        'foo.gguf',
      ],
      ...[
        'README.md',
        'recipe.yaml',
        'run.json',
        'report.json',
        'report.html',
        '.gitattributes',
        'tokenizer.json.partial',
      ],
      ...[
        'original/tokenizer.model',
        'tokenizer/../../x.py',
        'tokenizer\\..\\x',
        'C:x.py',
        'tokenizer\u001b[2J',
        'training_args.bin',
      ],
    ];
    assert.deepEqual(names.filter(isCompanion), []);
  });
});

"""Writes test/golden/model/architectures: logits of small models as transformers computes them.

    python scripts/reference/architectures.py [--out test/golden/model/architectures] [case ...]

Made with torch 2.13.0 (CPU), transformers 5.18.0, safetensors and numpy, Python 3.11. Only numbers are written: weights and prompts come
from `uniform` below, which test/support/reference-models.ts repeats bit by bit.
"""

import argparse, base64, contextlib, copy, gzip, hashlib, json, math, re, tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cases import CASES

PROMPTS = [5, 17, 40]
FLOAT32 = torch.float32
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def uniform(name, count):
    """Multiples of 2^-24 in [-0.5, 0.5): murmur3's finalizer of FNV-1a(name) + i * 0x9E3779B9."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    h = np.uint32(seed) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
    for shift, factor in (16, 0x85EBCA6B), (13, 0xC2B2AE35):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5


def prompts(vocabulary):
    return [[int((u + 0.5) * vocabulary) for u in uniform(f'prompt.{n}', length)] for n, length in enumerate(PROMPTS)]


def rule(name, shape, gemma):
    """value = fround(offset + scale * u), so that every kind of tensor matters and logits vary by about 1."""
    if re.search(r'norm\.weight$', name):
        return dict(offset=0 if gemma else 1, scale=1.0)
    if name.endswith('.bias'):
        return dict(offset=0, scale=0.6)
    if 'embed_tokens' in name:
        return dict(offset=0, scale=2)
    if re.search(r'\.gate\.weight$', name):
        return dict(offset=0, scale=12 / math.sqrt(shape[1]))
    return dict(offset=0, scale=3.4 / math.sqrt(shape[1]))


def values(tensor):
    u = uniform(tensor['name'], math.prod(tensor['shape']))
    return (tensor['rule']['offset'] + tensor['rule']['scale'] * u).astype(np.float32).reshape(tensor['shape'])


class NoFloat32(TorchDispatchMode):
    """Fails on any operation that makes a float32 tensor."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        assert not any(isinstance(leaf, torch.Tensor) and leaf.dtype == FLOAT32 for leaf in tree_leaves(result)), operation
        return result


@contextlib.contextmanager
def double_precision():
    """What asks for float32 gets float64: norms, softmax, rotary embedding, router."""
    saved = torch.float32, torch.float, torch.Tensor.float, torch.get_default_dtype()
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        with NoFloat32():
            yield
    finally:
        torch.float32, torch.float, torch.Tensor.float, default = saved
        torch.set_default_dtype(default)


def load(config, tensors, weights, folder):
    """The checkpoint on disk as transformers loads it; refuses names that it does not know or misses."""
    Path(folder, 'config.json').write_text(json.dumps(config))
    save_file({t['name']: torch.from_numpy(w) for t, w in zip(tensors, weights)}, f'{folder}/model.safetensors', {'format': 'pt'})
    cls = getattr(transformers, config['architectures'][0])
    model, info = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation='eager', experts_implementation='eager',
                                      output_loading_info=True)
    assert not any(info[k] for k in ('missing_keys', 'unexpected_keys', 'mismatched_keys')), info
    return model.eval()


def doubled(model, edit=lambda name, tensor: tensor):
    """The same model in double arithmetic. The embedding scale of Gemma stays the float32 constant that the model holds."""
    weights = {name: edit(name, tensor.double()) for name, tensor in model.state_dict().items()}
    config = copy.deepcopy(model.config)
    config.dtype = torch.float64
    config.tie_word_embeddings = model.lm_head.weight is model.model.embed_tokens.weight
    with double_precision():
        twin = type(model)(config).eval()
        twin.load_state_dict(weights)
    if hasattr(model.model.embed_tokens, 'embed_scale'):
        twin.model.embed_tokens.embed_scale = model.model.embed_tokens.embed_scale.double()
    return twin


@torch.no_grad()
def logits(model, rows):
    return [model(torch.tensor([row]), use_cache=False).logits[0].numpy() for row in rows]


def logits64(model, rows):
    with double_precision():
        return logits(model, rows)


def permuted(hidden):
    """Residual channels in another order: the same function, every sum over them in another order."""
    order = torch.from_numpy(np.argsort(uniform('order', hidden)))

    def edit(name, tensor):
        if re.search(r'(?<![qk]_)norm\.weight$', name) or re.search(r'(o_proj|mlp\.down_proj)\.bias$', name):
            return tensor[order]
        if re.search(r'(o_proj|mlp\.down_proj)\.weight$', name):
            return tensor[order]
        if re.search(r'experts\.down_proj$', name):
            return tensor[:, order]
        if re.search(r'(embed_tokens|lm_head|[qkv]_proj|gate_proj|up_proj|\.gate)\.weight$|experts\.gate_up_proj$', name):
            return tensor[..., order]
        assert re.search(r'[qk]_norm\.weight$|_proj\.bias$', name), name
        return tensor

    return edit


@torch.no_grad()
def router_gap(model, rows):
    """Least distance between the last expert that is taken and the first that is not, in router logits."""
    gaps = []

    def look(module, _, output):
        top = output[0].sort(-1, descending=True).values
        gaps.append((top[:, module.top_k - 1] - top[:, module.top_k]).min().item())

    hooks = [m.register_forward_hook(look) for m in model.modules() if type(m).__name__.endswith('TopKRouter')]
    logits64(model, rows)
    for hook in hooks:
        hook.remove()
    return min(gaps, default=None)


def pack(array):
    return base64.b64encode(np.ascontiguousarray(array, array.dtype.newbyteorder('<')).tobytes()).decode()


def far(a, b):
    return max(float(np.abs(x.astype(np.float64) - y).max()) for x, y in zip(a, b))


def make(name, keys, unlike, hub, file):
    cls = getattr(transformers, keys['architectures'][0])
    with tempfile.TemporaryDirectory() as folder:
        cls(cls.config_class(**copy.deepcopy({**keys, **file}))).save_pretrained(folder)
        config = copy.deepcopy(keys) if hub else json.loads(Path(folder, 'config.json').read_text())
        with safe_open(f'{folder}/model.safetensors', 'pt') as saved:
            shapes = {key: list(saved.get_slice(key).get_shape()) for key in sorted(saved.keys())}
        tensors = [dict(name=key, shape=shape, rule=rule(key, shape, 'gemma' in keys['model_type'])) for key, shape in shapes.items()]
        weights = [values(tensor) for tensor in tensors]
        for tensor, weight in zip(tensors, weights):
            tensor['sha256'] = hashlib.sha256(weight.astype('<f4').tobytes()).hexdigest()

        rows = prompts(keys['vocab_size'])
        model = load(config, tensors, weights, folder)
        single = logits(model, rows)
        twin = doubled(model)
        double = logits64(twin, rows)
        peak = max(float(np.abs(x).max()) for x in double)

        # float64 all the way: no float32 rounding is left, and a value is right to 12 digits whatever the order of the sums
        order = far(logits64(doubled(model, permuted(keys['hidden_size'])), rows), double) / peak
        assert order < 1e-12, f'{name}: {order}'
        rounding = far(single, double)
        assert rounding < 1e-4 * peak, f'{name}: float32 is {rounding} from float64'
        gap = router_gap(twin, rows)
        assert gap is None or gap > 2e-3, f'{name}: two experts are {gap} apart'
        other = logits(load({**config, **unlike}, tensors, weights, folder), rows)
        assert far(single, other) > 1e-3, f'{name}: {unlike} changes nothing'

        signs = [np.sign(uniform(f'sign.{t["name"]}', w.size)).reshape(w.shape) for t, w in zip(tensors, weights)]
        shaken = [(w * (1 + 1e-6 * s)).astype(np.float32) for w, s in zip(weights, signs)]
        perturbation = far(single, logits(load(config, tensors, shaken, folder), rows))

    print(f'{name:30} |logits| {peak:6.2f}  order {order:.0e}  float32 {rounding:.1e}  perturbation {perturbation:.1e}'
          f'  unlike {far(single, other):.2f}' + ('' if gap is None else f'  gap {gap:.3f}'))
    # logits of float32 are not kept: they lie nearer to these than any bound that is put on an engine
    return dict(config=config, architecture=keys['architectures'][0], tensors=tensors, prompts=rows,
                logits64=[pack(x) for x in double], perturbation=perturbation)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', default='test/golden/model/architectures')
    parser.add_argument('cases', nargs='*')
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    for name in args.cases or CASES:
        text = json.dumps(make(name, **CASES[name]), separators=(',', ':'))
        Path(args.out, f'{name}.json.gz').write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == '__main__':
    main()

"""Plain NumPy references that the engine is held against; slow on purpose."""

from math import erf

import numpy as np


def gpt2_logits(config, tensors, tokens):
    """GPT-2 written straight from its description, one head at a time, in float64."""
    w = {name.removeprefix("transformer."): np.float64(value) for name, value in tensors.items()}
    batch, time = tokens.shape
    x = w["wte.weight"][tokens] + w["wpe.weight"][:time]
    size = config.n_embd // config.n_head
    for layer in range(config.n_layer):
        block = f"h.{layer}."
        a = _norm(x, w[block + "ln_1.weight"], w[block + "ln_1.bias"], config.layer_norm_epsilon)
        qkv = a @ w[block + "attn.c_attn.weight"] + w[block + "attn.c_attn.bias"]
        q, k, v = np.split(qkv, 3, -1)
        mixed = np.zeros_like(x)
        for head in range(config.n_head):
            part = slice(head * size, (head + 1) * size)
            for row in range(batch):
                for at in range(time):
                    scores = k[row, : at + 1, part] @ q[row, at, part]
                    if config.scale_attn_weights:
                        scores = scores / np.sqrt(size)
                    if config.scale_attn_by_inverse_layer_idx:
                        scores = scores / (layer + 1)
                    p = np.exp(scores - scores.max())
                    mixed[row, at, part] = (p / p.sum()) @ v[row, : at + 1, part]
        x = x + mixed @ w[block + "attn.c_proj.weight"] + w[block + "attn.c_proj.bias"]
        a = _norm(x, w[block + "ln_2.weight"], w[block + "ln_2.bias"], config.layer_norm_epsilon)
        a = _ACTIVATIONS[config.activation_function](
            a @ w[block + "mlp.c_fc.weight"] + w[block + "mlp.c_fc.bias"]
        )
        x = x + a @ w[block + "mlp.c_proj.weight"] + w[block + "mlp.c_proj.bias"]
    x = _norm(x, w["ln_f.weight"], w["ln_f.bias"], config.layer_norm_epsilon)
    return x @ (w["wte.weight"] if config.tie_word_embeddings else w["lm_head.weight"]).T


def negative_log_likelihood(logits, targets, mask):
    """Sum over real tokens, and how many there are: two loops and a logarithm."""
    total, count = 0.0, 0
    for row in range(targets.shape[0]):
        for at in range(targets.shape[1]):
            if mask[row, at]:
                scores = np.float64(logits[row, at])
                top = scores.max()
                total += top + np.log(np.exp(scores - top).sum()) - scores[targets[row, at]]
                count += 1
    return total, count


class AdamW:
    """Loshchilov & Hutter's Algorithm 2 with bias correction, one array at a time, float64."""

    def __init__(self, values, training):
        self.values = {name: np.float64(value) for name, value in values.items()}
        self.m = {name: np.zeros_like(value) for name, value in self.values.items()}
        self.v = {name: np.zeros_like(value) for name, value in self.values.items()}
        self.training, self.step = training, 0

    def apply(self, gradients, rate):
        t = self.training
        self.step += 1
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        scale = min(1.0, t.clip_norm / norm) if t.clip_norm else 1.0
        for name, gradient in gradients.items():
            g = gradient * scale
            self.m[name] = t.beta_1 * self.m[name] + (1 - t.beta_1) * g
            self.v[name] = t.beta_2 * self.v[name] + (1 - t.beta_2) * g**2
            m = self.m[name] / (1 - t.beta_1**self.step)
            v = self.v[name] / (1 - t.beta_2**self.step)
            decay = t.weight_decay if self.values[name].ndim >= 2 else 0.0
            self.values[name] = self.values[name] * (1 - rate * decay)
            self.values[name] -= rate * m / (np.sqrt(v) + t.epsilon)
        return norm


def _norm(x, scale, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * scale + bias


_ACTIVATIONS = {
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
}

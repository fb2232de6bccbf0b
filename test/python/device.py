"""What `npm run bench -- --only device` compares with: PyTorch's eager mode, torch.compile and CUDA graphs, on one GPU.

    python3 device.py CASES 3>RESULTS

CASES is JSON, a list of cases as test/src/bench/device/cases.ts has them; a line of JSON comes back for each, over the pipe
with number 3. Models are those of transformers, with random weights. A decode step is a function over their modules, with a
cache that stands still, as a CUDA graph needs it. On a processor (`"device": "cpu"`) the step is called and not captured.
"""
import gc
import json
import os
import sys
import time
import traceback

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

LEARNING_RATE = 1e-4
# Calls before the measured ones, the first included.
WARM_UP = 3
LEAST_CALLS = 3


def some_tokens(rows, length, vocab, device):
    tokens = [(i * 7 + (i * i) % 5) % vocab for i in range(rows * length)]
    return torch.tensor(tokens, device=device).view(rows, length)


def new_model(case):
    s = case["shape"]
    common = {"vocab_size": s["vocabSize"], "tie_word_embeddings": True, "use_cache": False}
    if s["architecture"] == "gpt2":
        kind, config = GPT2LMHeadModel, GPT2Config(
            n_positions=s["contextLength"], n_embd=s["width"], n_layer=s["layers"], n_head=s["heads"], n_inner=s["mlpWidth"],
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, **common,
        )
    else:
        kind, config = LlamaForCausalLM, LlamaConfig(
            max_position_embeddings=s["contextLength"], hidden_size=s["width"], num_hidden_layers=s["layers"],
            num_attention_heads=s["heads"], num_key_value_heads=s["kvHeads"], intermediate_size=s["mlpWidth"], **common,
        )
    torch.manual_seed(0)
    with torch.device(case["device"]):
        return kind._from_config(config, attn_implementation="sdpa")


def precise(case):
    """TF32 in matrix products, or not. Operands in bfloat16 do not ask."""
    allowed = case["precision"] == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def open_training(case):
    """A step: mean cross entropy of the next token, its gradient, clipping, AdamW. -> its loss"""
    model = new_model(case).train()
    if case["rank"] > 0:
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(
            r=case["rank"], lora_alpha=2 * case["rank"], target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, lora)
    trained = [p for p in model.parameters() if p.requires_grad]
    on_gpu = case["device"] == "cuda"
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, eps=1e-8, weight_decay=0.01, fused=on_gpu)
    vocab = case["shape"]["vocabSize"]
    ids = some_tokens(case["rows"], case["length"], vocab, case["device"])
    targets = ids[:, 1:].reshape(-1)

    def loss_of():
        with torch.autocast(case["device"], torch.bfloat16, enabled=case["precision"] == "bf16"):
            logits = model(input_ids=ids).logits[:, :-1]
        return F.cross_entropy(logits.reshape(-1, vocab).float(), targets)

    computed = torch.compile(loss_of) if case["mode"] == "compile" else loss_of

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = computed()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        # Trainers report the loss of every step, and so wait for it.
        return loss.item()

    return step


class Cached:
    """A model of transformers with a cache of keys and values that lies still: tokens in, logits of the last place out."""

    def __init__(self, model, rows, capacity):
        self.model, self.config = model, model.config
        parameter = next(model.parameters())
        self.device, dtype = parameter.device, parameter.dtype
        c = self.config
        self.heads = c.num_attention_heads
        self.is_gpt2 = c.model_type == "gpt2"
        self.kv_heads = self.heads if self.is_gpt2 else c.num_key_value_heads
        self.head_width = c.hidden_size // self.heads
        shape = (rows, self.kv_heads, capacity, self.head_width)
        new = lambda: torch.zeros(shape, device=self.device, dtype=dtype)
        self.cache = [(new(), new()) for _ in range(c.num_hidden_layers)]
        self.places = torch.arange(capacity, device=self.device)
        if not self.is_gpt2:
            theta = c.rope_parameters["rope_theta"]
            frequencies = theta ** (-torch.arange(0, self.head_width, 2, device=self.device).float() / self.head_width)
            angles = torch.outer(self.places.float(), torch.cat([frequencies, frequencies]))
            self.cos, self.sin = angles.cos().to(dtype), angles.sin().to(dtype)

    def attention(self, layer, q, k, v, positions):
        """q [B, H, T, K], k and v [B, G, T, K] of new tokens at `positions` [T], 0 to T - 1 or a single one."""
        keys, values = self.cache[layer]
        keys.index_copy_(2, positions, k)
        values.index_copy_(2, positions, v)
        rows, heads, length, width = q.shape
        each = heads // self.kv_heads
        if length > 1:
            k, v = (x.repeat_interleave(each, 1) if each > 1 else x for x in (k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            # Queries that share keys and values are rows of one product.
            mask = (self.places <= positions).view(1, 1, 1, -1)
            shared = q.reshape(rows, self.kv_heads, each, width)
            mixed = F.scaled_dot_product_attention(shared, keys, values, attn_mask=mask).view(rows, heads, 1, width)
        return mixed.transpose(1, 2).reshape(rows, length, heads * width)

    def split(self, x, heads):
        return x.view(*x.shape[:2], heads, self.head_width).transpose(1, 2)

    def forward(self, ids, positions):
        return (self.gpt2 if self.is_gpt2 else self.llama)(ids, positions)

    def gpt2(self, ids, positions):
        trunk = self.model.transformer
        x = trunk.wte(ids) + trunk.wpe(positions)
        for i, block in enumerate(trunk.h):
            q, k, v = (self.split(part, self.heads) for part in block.attn.c_attn(block.ln_1(x)).chunk(3, -1))
            x = x + block.attn.c_proj(self.attention(i, q, k, v, positions))
            x = x + block.mlp(block.ln_2(x))
        return self.model.lm_head(trunk.ln_f(x[:, -1]))

    def llama(self, ids, positions):
        trunk = self.model.model
        cos, sin = self.cos[positions], self.sin[positions]

        def turned(x):
            left, right = x.chunk(2, -1)
            return x * cos + torch.cat([-right, left], -1) * sin

        x = trunk.embed_tokens(ids)
        for i, layer in enumerate(trunk.layers):
            attn, normed = layer.self_attn, layer.input_layernorm(x)
            q = turned(self.split(attn.q_proj(normed), self.heads))
            k = turned(self.split(attn.k_proj(normed), self.kv_heads))
            v = self.split(attn.v_proj(normed), self.kv_heads)
            x = x + attn.o_proj(self.attention(i, q, k, v, positions))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.model.lm_head(trunk.norm(x[:, -1]))


def sample(logits):
    """One token a row at temperature 1, without waiting for the device as torch.multinomial does."""
    probabilities = torch.softmax(logits.float(), -1)
    return torch.argmax(probabilities / torch.empty_like(probabilities).exponential_(1), -1, keepdim=True)


def open_generation(case):
    """Prefill: prompts in, a token each out. Decode: the tokens after the first, by a step a token."""
    model = new_model(case).eval()
    if case["precision"] == "bf16":
        model = model.bfloat16()
    rows, length, device = case["rows"], case["length"], case["device"]
    prompts = some_tokens(rows, length, case["shape"]["vocabSize"], device)
    cached = Cached(model, rows, length + case["newTokens"])
    agree(cached, prompts)
    all_places = torch.arange(length, device=device)

    def read():
        return sample(cached.forward(prompts, all_places))

    if case["kind"] == "prefill":
        work = torch.compile(read) if case["mode"] == "compile" else read
        return lambda: work().tolist() and None

    ids, position = torch.zeros(rows, 1, dtype=torch.long, device=device), torch.zeros(1, dtype=torch.long, device=device)

    def advance():
        ids.copy_(sample(cached.forward(ids, position)))
        position.add_(1)

    step = advance
    if case["mode"] == "graph" and device == "cuda":
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                position.zero_()
                advance()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            advance()
        step = graph.replay

    def decode():
        ids.copy_(read())
        position.fill_(length)
        written = torch.empty(rows, case["newTokens"], dtype=torch.long, device=device)
        synchronize(case)
        begun = time.perf_counter()
        for i in range(1, case["newTokens"]):
            step()
            written[:, i : i + 1] = ids
        written.tolist()
        return Timed(1000 * (time.perf_counter() - begun))

    return decode


class Timed(float):
    """Milliseconds of the part of a call that counts."""


def agree(cached, prompts):
    """The function over the modules computes what the model does: the logits behind all but the last token, and behind that."""
    few = prompts[:1, :8]
    rows = cached.cache[0][0].shape[0]
    places = torch.arange(few.shape[1], device=few.device)
    cached.forward(few[:, :-1].expand(rows, -1), places[:-1])
    ours = cached.forward(few[:, -1:].expand(rows, -1), places[-1:])[0].float()
    theirs = cached.model(input_ids=few).logits[0, -1].float()
    off, most = (ours - theirs).abs().max().item(), theirs.abs().max().item()
    # Bfloat16 has 8 bits, TF32 has 11.
    exact = cached.device.type == "cpu" and next(cached.model.parameters()).dtype == torch.float32
    if off > (1e-4 if exact else 5e-2) * max(1.0, most):
        raise AssertionError(f"logits of the cached step differ from the model's by {off}, the largest is {most}")


def synchronize(case):
    if case["device"] == "cuda":
        torch.cuda.synchronize()


def call(case, step):
    """-> milliseconds, loss"""
    synchronize(case)
    begun = time.perf_counter()
    said = step()
    synchronize(case)
    if isinstance(said, Timed):
        return float(said), None
    return 1000 * (time.perf_counter() - begun), said


def measure(case):
    precise(case)
    on_gpu = case["device"] == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    step = (open_training if case["kind"] == "train" else open_generation)(case)
    begun = time.perf_counter()
    _, loss = call(case, step)
    first = 1000 * (time.perf_counter() - begun)
    for _ in range(WARM_UP - 1):
        call(case, step)
    ms, end = [], time.perf_counter() + case["seconds"]
    while len(ms) < LEAST_CALLS or time.perf_counter() < end:
        taken, loss = call(case, step)
        ms.append(taken)
    tokens = case["rows"] * (case["newTokens"] - 1 if case["kind"] == "decode" else case["length"])
    result = {"ms": ms, "tokens": tokens, "firstMs": first}
    if loss is not None:
        result["loss"] = loss
    if on_gpu:
        result["allocatedMb"] = round(torch.cuda.max_memory_allocated() / 1e6)
    elif case["mode"] == "graph":
        result["note"] = "called, not captured: there is no GPU"
    return result


def main():
    channel = os.fdopen(3, "w", encoding="utf8")
    for case in json.loads(sys.argv[1]):
        no_gradient = torch.inference_mode if case["kind"] != "train" else torch.enable_grad
        try:
            with no_gradient():
                said = measure(case)
        except Exception as error:
            traceback.print_exc()
            said = {"failed": f"{type(error).__name__}: {str(error)[:500]}"}
        channel.write(json.dumps(said) + "\n")
        channel.flush()
        torch._dynamo.reset()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


main()

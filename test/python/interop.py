"""What Python's libraries make of this project's checkpoints.

    python interop.py INPUT OUTPUT

INPUT is JSON: folders of models with prompts, of reward models with texts, and training runs with their rows in the
order of their steps. OUTPUT is JSON: what transformers generates and scores, the losses of TRL's trainers, and every
warning given on the way. Nothing is compared here.
"""

import json
import sys
import tempfile

import torch
from datasets import Dataset
from told import Told
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

NO_DROPOUT = {"attn_pdrop": 0, "embd_pdrop": 0, "resid_pdrop": 0}


def generations(request):
    with Told() as told:
        generate = pipeline("text-generation", model=request["folder"], device="cpu")
        options = {"max_new_tokens": request["tokens"], "do_sample": False, "return_full_text": False}
        texts = [generate(prompt, **options)[0]["generated_text"] for prompt in request["prompts"]]
    return {"texts": texts, "warnings": told.messages}


def scores(request):
    with Told() as told:
        score = pipeline("text-classification", model=request["folder"], device="cpu")
        answers = [score(text, function_to_apply="none")[0]["score"] for text in request["texts"]]
    return {"scores": answers, "warnings": told.messages}


def encodings(request):
    with Told() as told:
        tokenizer = AutoTokenizer.from_pretrained(request["folder"])
        ids = [tokenizer(text)["input_ids"] for text in request["texts"]]
    about = {"length": tokenizer.model_max_length, "chat": tokenizer.chat_template}
    return {"ids": ids, **about, "warnings": told.messages}


def recording(trainer):
    """A trainer that keeps each step's loss unrounded."""

    class Recording(trainer):
        def training_step(self, *arguments, **options):
            loss = super().training_step(*arguments, **options)
            self.losses = [*getattr(self, "losses", []), loss.item()]
            return loss

    return Recording


def losses(request):
    settings = {
        "per_device_train_batch_size": request["batchSize"],
        "max_steps": request["steps"],
        "learning_rate": request["learningRate"],
        "lr_scheduler_type": "linear",
        "max_grad_norm": 1.0,
        "train_sampling_strategy": "sequential",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    folder, method = request["folder"], request["method"]
    causal = lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **NO_DROPOUT)
    with tempfile.TemporaryDirectory() as directory:
        common = {"train_dataset": Dataset.from_list(request["rows"])}
        common["processing_class"] = AutoTokenizer.from_pretrained(folder)
        if method == "sft":
            trainer = recording(SFTTrainer)(
                causal(), args=SFTConfig(directory, **settings, packing=False), **common
            )
        elif method == "dpo":
            trainer = recording(DPOTrainer)(
                causal(), ref_model=causal(), args=DPOConfig(directory, **settings, beta=0.1), **common
            )
        else:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=1, dtype=torch.float32, **NO_DROPOUT
            )
            torch.nn.init.zeros_(model.score.weight)
            # TRL reads the score before the padding, which must not be the token that ends the text.
            args = RewardConfig(directory, **settings, pad_token="<|pad|>")
            trainer = recording(RewardTrainer)(model, args=args, **common)
        trainer.train()
    return trainer.losses


def main(source, target):
    torch.manual_seed(0)
    with open(source, encoding="utf-8") as file:
        request = json.load(file)
    answer = {
        "encodings": [encodings(each) for each in request["encodings"]],
        "generations": [generations(each) for each in request["generations"]],
        "scores": [scores(each) for each in request["scores"]],
        "losses": [losses(each) for each in request["losses"]],
    }
    with open(target, "w", encoding="utf-8") as file:
        json.dump(answer, file)


main(*sys.argv[1:])

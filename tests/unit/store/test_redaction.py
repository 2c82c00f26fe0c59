from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.redaction import MARK, Redaction

TOKENS = [
    "hf_" + "aB3" * 10,
    "ghp_" + "x1" * 18,
    "github_pat_" + "A1_" * 10,
    "AKIAIOSFODNN7EXAMPLE",
    "sk-" + "proj1" * 6,
    "xoxb-123456789012-abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w",
]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_are_struck_out_wherever_they_stand(token: str) -> None:
    text = Redaction().text(f"error: cannot fetch (token={token}), giving up")
    assert token not in text
    assert text.startswith("error: cannot fetch (token=")
    assert text.endswith("), giving up")


def test_credentials_in_addresses_and_bearer_headers() -> None:
    text = Redaction().text("GET https://alice:hunter22@example.org/x Authorization: Bearer abcdef123456")
    assert text == f"GET https://{MARK}@example.org/x Authorization: Bearer {MARK}"


def test_values_of_secret_variables_and_no_others() -> None:
    environment = {
        "MY_API_KEY": "correcthorse",
        "DB_PASSWORD": "battery-staple",
        "TOKENIZERS_PARALLELISM": "false",
        "EDITOR": "vim-nothing-secret",
        "HOME": "/home/alice",
    }
    redaction = Redaction.of(environment)
    assert (
        redaction.text("correcthorse battery-staple false vim-nothing-secret")
        == f"{MARK} {MARK} false vim-nothing-secret"
    )
    assert redaction.text("/home/alice/x /home/alicea/y") == "~/x /home/alicea/y"


def test_folders_within_others_go_first() -> None:
    redaction = Redaction(folders={"/home/alice": "~"}).without_folders([Path("/home/alice/top secret"), Path("/")])
    assert redaction.text("bind source /home/alice/top secret/m.gguf") == "bind source .../m.gguf"
    assert redaction.text("/home/alice/other") == "~/other"


def test_what_llama_cpp_says_is_left_as_it_is() -> None:
    said = [
        "ggml_cuda_init: found 1 CUDA devices: Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes",
        "load_backend: loaded CPU backend from /app/libggml-cpu-zen4.so",
        "sha256:0274acef708c32191ccd1a711e7ea51cd3d7d06f4d3528b55208c701f1814090 -ctk q8_0 -ot exps=CPU",
        "https://ai.google.dev/gemma/terms and eyJ is no token, nor sk-short",
    ]
    assert Redaction.of({"HOME": "/root", "X_TOKEN": "zzzzzzzzzz"}).json(said) == said


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redaction = Redaction.of({"A_TOKEN": "12345678", "HOME": "/home/a"})
    once = redaction.text(text)
    assert redaction.text(once) == once

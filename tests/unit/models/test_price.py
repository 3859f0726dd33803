"""Prices, limits, and the arithmetic of reservations."""

import os
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.models.price import cost, estimate_tokens, limits_of, price_of, reservation
from guardflow.values import Message, Model, Price, Request, Schema, Usage


def test_a_known_model_has_its_list_price() -> None:
    assert price_of(Model("openai/gpt-5-mini")) == Price(input=0.25, output=2.0, cached_input=0.025)
    assert price_of(Model("gemini/gemini-2.5-flash")) == Price(input=0.3, output=2.5, cached_input=0.03)


def test_the_models_own_price_wins() -> None:
    own = Price(input=1, output=1)
    assert price_of(Model("openai/gpt-5-mini", price=own)) == own
    assert price_of(Model("openai/gpt-5-mini", price="free")) == Price(input=0, output=0)


@pytest.mark.parametrize("name", ["openai/qwen3-8b", "nobody/gpt-5-mini", "gpt-5-mini", "ollama/llama3"])
def test_an_unknown_price_is_unknown_and_never_free(name: str) -> None:
    assert price_of(Model(name)) is None


def test_limits_say_what_is_known() -> None:
    known = limits_of("openai/gpt-4o")
    assert (known.context, known.output, known.json_schema) == (128_000, 16_384, True)
    assert limits_of("openai/gpt-4").json_schema is False
    assert limits_of("openai/who-knows") == (None, None, None)


def test_the_context_ends_where_the_list_price_does() -> None:
    assert limits_of("gemini/gemini-2.5-pro").context == 200_000


def test_a_cost_is_exact_and_rounded_up() -> None:
    assert cost(Usage(input=1_000_000, output=1_000_000), Price(input=0.25, output=2)) == 2_250_000_000
    assert cost(Usage(input=1), Price(input=0.0001, output=0)) == 1  # a tenth of a nano-dollar
    assert cost(Usage(), Price(input=3, output=3)) == 0


def test_cached_tokens_have_their_own_price() -> None:
    price = Price(input=1.0, output=0, cached_input=0.1)
    assert cost(Usage(input=100, cached_input=40), price) == 60 * 1000 + 40 * 100
    assert cost(Usage(input=100, cached_input=40), Price(input=1.0, output=0)) == 100 * 1000
    assert cost(Usage(input=10, cached_input=40), price) == 10 * 100  # a provider that counts wrongly


def test_free_costs_nothing_and_unknown_costs_unknown() -> None:
    assert cost(Usage(input=5, output=5), "free") == 0
    assert cost(Usage(input=5, output=5), None) is None


usd = st.decimals(min_value=0, max_value=1000, places=6).map(float)


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**7), usd, usd, usd)
def test_the_arithmetic_agrees_with_fractions(i: int, o: int, c: int, a: float, b: float, d: float) -> None:
    c = min(c, i)
    exact = (i - c) * Fraction(str(a)) + o * Fraction(str(b)) + c * Fraction(str(d))
    exact = exact * 1000  # US dollars per million tokens are thousands of nano-dollars per token
    got = cost(Usage(i, o, c), Price(a, b, d))
    assert got is not None
    assert 0 <= got - exact < 1


def one(text: str) -> int:
    return estimate_tokens([Message("user", text)], None)


@pytest.fixture(scope="module")
def encode() -> object:
    """cl100k, from the file that litellm ships."""
    spec = find_spec("litellm")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        import tiktoken

        return tiktoken.get_encoding("cl100k_base").encode
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


TEXTS = {
    "english": "The quick brown fox jumps over the lazy dog while a committee considers the proposal. ",
    "german": "Größenwahnsinnige Übertreibungen überraschen die Fahrer häufig, weil Verständnis fehlt. ",
    "russian": "Искусственный интеллект меняет мир. Мы должны убедиться, что результаты надежны. ",
    "greek": "Η τεχνητή νοημοσύνη αλλάζει τον κόσμο. ",
    "arabic": "الذكاء الاصطناعي يغير العالم. نحن بحاجة إلى التأكد من أن مخرجات النموذج موثوقة. ",
    "hindi": "कृत्रिम बुद्धिमत्ता दुनिया को बदल रही है। ",
    "chinese": "人工智能正在改变世界。我们需要确保模型的输出是可靠的。",
    "korean": "인공지능이 세상을 바꾸고 있습니다. ",
    "amharic": "ሰው ሰራሽ የማሰብ ችሎታ ዓለምን እየለወጠ ነው። ",
    "emoji": "😀🎉🧬🇩🇪👩‍👩‍👧‍👦🫠",
    "code": "def f(x: int) -> dict[str, int]:\n    return {'a': x ** 2, 'b': [i for i in range(x)]}\n",
    "json": '{"id": 17, "name": "user 17", "v": 0.8474337369372327, "tags": ["a", "b"]}, ',
    "hex": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "base64": "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dA==",
    "digits": "31415926535897932384626433832795028841971",
    "table": "| a | b | 12.5 | x |\n|---|---|---|---|\n",
    "url": "https://www.example.com/path/to/Resource?id=12345&token=abcDEF ",
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_estimate_is_above_the_true_count_but_not_far_above(name: str, encode: object) -> None:
    assert callable(encode)
    text = TEXTS[name] * 30
    true = len(encode(text))
    assert true <= one(text) <= 3.3 * true + 80


def test_every_turn_and_the_schema_count() -> None:
    turn = Message("user", "hello")
    schema = Schema("Answer", {"type": "object", "properties": {"a": {"type": "string"}}}, "s1")
    assert estimate_tokens([turn, turn], None) > estimate_tokens([turn], None)
    assert estimate_tokens([turn], schema) >= estimate_tokens([turn], None) + 15


@given(st.text(), st.text())
def test_a_longer_text_never_counts_less(a: str, b: str) -> None:
    assert one(a) <= one(a + b) <= one(a) + one(b)


def test_a_reservation_is_input_and_max_tokens_at_list_price() -> None:
    request = Request(Model("openai/x"), (Message("user", "hi"),), None, 100, None, 0, "h")
    tokens = one("hi")
    held = reservation(request, Price(input=1, output=10, cached_input=0.1))
    assert held.tokens == tokens + 100
    assert held.nano_usd == tokens * 1000 + 100 * 10_000
    assert reservation(request, None).nano_usd is None
    assert reservation(request, "free").nano_usd == 0


def test_prices_are_read_without_importing_litellm() -> None:
    code = (
        "import sys; from guardflow.models.price import price_of; from guardflow.values import Model;"
        "assert price_of(Model('openai/gpt-5-mini')); print('litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

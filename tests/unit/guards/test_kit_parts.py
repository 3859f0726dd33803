"""The same words that say something else are in doubt: agents, clauses, ranges, causes, duties; the rest is supported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.guards.kit.support import ground_of
from guardflow.guards.kit.terms import words_of

SOURCES = {
    "buys": "Kestrel acquired Finch in June 2019 for 35 million dollars.",
    "bought": "The mill was acquired by Kestrel in June 2019.",
    "cave": "Dr. Ines Alvarez discovered the beetle near Orta. She named it after her teacher, Paul Renard.",
    "range": "The valve reduces fuel use by 8 to 10 percent. The timeout was raised from 30 to 60 seconds.",
    "kept": "The settings are kept, but stored recordings are erased. The log can be read.",
    "two": "Two engines overheated, and one of them was replaced.",
    "beetle": "The beetle has no eyes and feeds on fungi.",
    "left": "Before the vote, France left Italy behind.",
}


def look(source: str, claim: str) -> tuple[str, str]:
    return ground_of((SOURCES[source],)).look(words_of(claim))[:2]


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("buys", "Finch was acquired by Kestrel in June 2019."),
        ("buys", "In June 2019 Kestrel acquired Finch for $35 million."),
        ("bought", "Kestrel acquired the mill in June 2019."),
        ("cave", "Alvarez named the beetle after her teacher, Paul Renard."),
        ("range", "The timeout was raised to 60 seconds."),
        ("range", "The valve reduces fuel use by 8 to 10 percent."),
        ("kept", "Stored recordings are erased."),
        ("kept", "The settings are kept."),
        ("two", "Two engines overheated."),
    ],
)
def test_another_form_of_the_same_is_supported(source: str, claim: str) -> None:
    assert look(source, claim)[0] == "supported"


@pytest.mark.parametrize(
    ("source", "claim", "reason"),
    [
        (
            "beetle",
            "The beetle feeds on fungi because it has no eyes.",
            "gives a cause where the source gives none",
        ),
        ("kept", "The log must be read.", "makes a duty of what the source does not demand"),
        ("kept", "The settings are erased.", "puts together what stands in different clauses"),
        ("two", "Two engines were replaced.", "says of all what the source says of some of them"),
        ("range", "The timeout was raised by 30 seconds.", "has only one end of a range"),
        (
            "range",
            "The timeout was raised from 60 to 30 seconds.",
            "has the numbers of the source in another order",
        ),
        ("left", "Italy left France behind.", "has the names of the source in another order"),
        (
            "buys",
            "Kestrel was acquired by Finch in June 2019.",
            "has the names of the source in another order",
        ),
        (
            "cave",
            "Paul Renard discovered the beetle near Orta.",
            "puts together what stands in different sentences",
        ),
    ],
)
def test_the_same_words_that_say_something_else_are_in_doubt(source: str, claim: str, reason: str) -> None:
    of = ground_of((SOURCES[source],))
    window = [words for words in of.sentences if set(words.terms) & set(words_of(claim).terms)]
    assert look(source, claim)[0] == "doubtful"
    assert reason in {why for _, why in of._problems(words_of(claim), window, [])}


@given(
    st.lists(
        st.sampled_from(["Ada", "Bo", "Cy", "met", "was bought", "by", "later", "$5", "8 to 10 percent"]),
        max_size=12,
    )
)
def test_taking_apart_keeps_every_word(parts: list[str]) -> None:
    text = " ".join(parts)
    words = words_of(text)
    assert sorted(words.name_order) == sorted(w.lower() for w in text.split() if w[0].isupper())
    assert set(words.number_order) == words.numbers
